"""CUDA without cuDNN: ONNX Runtime opens sessions there, and fails at the first convolution."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.gpu_standin.inside.standin import Standin
from vavl_runtime import Recognizer
from vavl_runtime.backends.choice import choose_backend
from vavl_runtime.backends.ort.gpu import OnnxRuntimeGpuBackend
from vavl_runtime.devices.gpu import Gpu
from vavl_runtime.errors import BackendUnavailableError

ROOT = Path(__file__).parents[3]


def test_the_backend_names_cudnn(gpu: Gpu, standin: Standin) -> None:
    threads = threading.active_count()
    with pytest.raises(BackendUnavailableError, match="does not start CUDAExecutionProvider: cuDNN is unavailable"):
        OnnxRuntimeGpuBackend(gpu)
    assert threading.active_count() == threads


def test_auto_takes_the_cpu_and_says_why() -> None:
    chosen = choose_backend("auto")
    assert not chosen.backend.info.on_gpu
    assert any("cuDNN" in reason for reason in chosen.skipped_backends)
    chosen.backend.close()
    with Recognizer(device="auto") as recognizer:
        result = recognizer.predict(ROOT / "examples" / "astronaut.mp4")
    assert "CPUExecutionProvider" in str(result.backend)
    assert 0 < max(result.scores.values()) <= 1


def test_the_command_says_it_too() -> None:
    command = [sys.executable, "-m", "vavl_runtime", str(ROOT / "examples" / "astronaut.mp4"), "-v"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0
    assert "cuDNN" in done.stderr

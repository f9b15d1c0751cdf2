"""What the native backend cannot do, it refuses and says why."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.tensorrt.conftest import Machine
from tests.tensorrt.engine_folder import build
from tests.tensorrt.graph_inputs import Inputs, load
from vavl_runtime.backends.trt import backend as module
from vavl_runtime.backends.trt.backend import TensorRtBackend
from vavl_runtime.bundle import Bundle
from vavl_runtime.devices.gpu import Driver
from vavl_runtime.errors import BackendUnavailableError, EngineError, InvalidArrayError

MakeMachine = Callable[..., Machine]


def test_too_long(folder: Path, bundle: Bundle, machine: MakeMachine) -> None:
    machine("10.16.2.10")
    build(folder, graphs=("audio_encoder",))
    backend = TensorRtBackend(0, bundle)
    load(backend, bundle, "audio_encoder")
    inputs: Inputs = {"waveform": np.zeros((1, 200_000), np.float32), "samples": np.array([200_000], np.int64)}
    with pytest.raises(InvalidArrayError, match=r"got inputs .*200000.*, its engines serve .*192000.*other buckets"):
        backend.run("audio_encoder", inputs)


def test_wrong_inputs(folder: Path, bundle: Bundle, machine: MakeMachine) -> None:
    machine("10.16.2.10")
    build(folder, graphs=("audio",))
    backend = TensorRtBackend(0, bundle)
    load(backend, bundle, "audio")
    with pytest.raises(InvalidArrayError, match="graph audio: got inputs"):
        backend.run("audio", {})


def test_no_engines(bundle: Bundle, machine: MakeMachine) -> None:
    machine("10.16.2.10")
    with pytest.raises(EngineError, match="the bundle has no engines; build them on this machine"):
        TensorRtBackend(0, bundle)
    with pytest.raises(EngineError, match=rf"vavl-export tensorrt {re.escape(str(bundle.root))} --precision fp16$"):
        TensorRtBackend(0, bundle, "fp16")
    with pytest.raises(EngineError, match="needs a bundle"):
        TensorRtBackend(0, None)


def test_only_engines_of_another_machine(folder: Path, bundle: Bundle, machine: MakeMachine) -> None:
    machine("10.3.0")
    build(folder, graphs=("audio",))
    machine("10.16.2.10")
    with pytest.raises(EngineError, match=r"built with TensorRT 10\.3\.0, this machine has 10\.16\.2\.10; build"):
        TensorRtBackend(0, bundle)


def test_no_engine_of_this_graph(folder: Path, bundle: Bundle, machine: MakeMachine) -> None:
    machine("10.16.2.10")
    build(folder, graphs=("audio",))
    with pytest.raises(EngineError, match=r"graph visual \(fp32\): no TensorRT engine .*none was built"):
        load(TensorRtBackend(0, bundle), bundle, "visual")


def test_no_gpu_is_found_out_before_tensorrt_is_touched(
    folder: Path, bundle: Bundle, machine: MakeMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = machine("10.16.2.10").tensorrt
    build(folder, graphs=("audio",))
    monkeypatch.setattr(module, "probe_driver", lambda: Driver(None, (), "no NVIDIA driver"))
    monkeypatch.delattr(fake, "Runtime")
    with pytest.raises(BackendUnavailableError, match="device cuda:0: no NVIDIA driver"):
        TensorRtBackend(0, bundle)


def test_a_plan_that_tensorrt_refuses(
    folder: Path, bundle: Bundle, machine: MakeMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = machine("10.16.2.10").tensorrt
    build(folder, graphs=("audio",))
    monkeypatch.setattr(fake.Runtime, "_version", "10.16.1")
    backend = TensorRtBackend(0, bundle)
    with pytest.raises(EngineError, match=r"engine\.plan: TensorRT .* refuses .*not compatible with this version"):
        load(backend, bundle, "audio")


def test_memory_that_runs_out(folder: Path, bundle: Bundle, machine: MakeMachine) -> None:
    cuda = machine("10.16.2.10").cuda
    build(folder, graphs=("audio",))
    backend = TensorRtBackend(0, bundle)
    cuda.left = 5000
    with pytest.raises(BackendUnavailableError, match="fails with cudaErrorMemoryAllocation; close other"):
        load(backend, bundle, "audio")


def test_cuda_python_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    from vavl_runtime.devices import cuda

    monkeypatch.setattr(cuda, "_MODULES", ("no_such_module",))
    with pytest.raises(BackendUnavailableError, match="cuda-python cannot be imported .*pip install cuda-python"):
        cuda.Cuda(0)

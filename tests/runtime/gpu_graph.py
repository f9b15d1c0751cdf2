"""A graph for the made-up ONNX Runtime with a GPU: its record, what it computes, and inputs for it."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.runtime.fake_driver import FakeDriver
from tests.runtime.fake_onnxruntime import FakeOnnxRuntime
from vavl_runtime.backends.ort import gpu
from vavl_runtime.backends.ort.gpu import OnnxRuntimeGpuBackend
from vavl_runtime.bundle.manifest import GraphRecord, TensorRecord
from vavl_runtime.devices.gpu import Gpu
from vavl_runtime.devices.pinned import PinnedMemory

H100 = Gpu(0, "NVIDIA H100", (9, 0), 85_000_000_000)
# The output has an axis that no input has, as the audio encoder's.
RECORD = GraphRecord(
    file="graph.onnx",
    data="graph.bin",
    precision="fp32",
    inputs=(
        TensorRecord(name="waveform", dtype="float32", shape=("batch", "samples_padded")),
        TensorRecord(name="samples", dtype="int64", shape=("batch",)),
    ),
    outputs=(
        TensorRecord(name="features", dtype="float32", shape=("batch", "tokens")),
        TensorRecord(name="lengths", dtype="int64", shape=("batch",)),
    ),
)


def compute(inputs: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
    waveform, samples = inputs["waveform"], inputs["samples"]
    return [2 * waveform[:, ::2] + samples[:, None].astype(np.float32), (samples + 1) // 2]


def install(patch: pytest.MonkeyPatch, fake: FakeOnnxRuntime) -> FakeDriver:
    """Put a made-up ONNX Runtime in place of the real one, with the driver that it needs."""
    driver = FakeDriver()
    patch.setitem(sys.modules, "onnxruntime", fake)
    patch.setattr(gpu, "PinnedMemory", lambda: PinnedMemory(driver.load))
    return driver


def make_backend(**options: Any) -> OnnxRuntimeGpuBackend:
    backend = OnnxRuntimeGpuBackend(H100, **options)
    backend.load("graph", Path("graph.onnx"), RECORD)
    return backend


def random_inputs(batch: int, samples: int, seed: int) -> dict[str, NDArray[Any]]:
    generator = np.random.default_rng(seed)
    return {
        "waveform": generator.standard_normal((batch, samples)).astype(np.float32),
        "samples": generator.integers(1, samples + 1, batch),
    }


def check_answer(backend: OnnxRuntimeGpuBackend, inputs: dict[str, NDArray[Any]]) -> None:
    answer = backend.run("graph", inputs)
    features, lengths = compute(inputs)
    np.testing.assert_array_equal(answer["features"], features)
    np.testing.assert_array_equal(answer["lengths"], lengths)

"""A steady state launches one CUDA graph and allocates and captures nothing."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.tensorrt.conftest import Machine
from tests.tensorrt.engine_folder import build
from tests.tensorrt.fake_tensorrt import VERSIONS
from tests.tensorrt.graph_inputs import load, tokens
from vavl_runtime.backends.trt.backend import TensorRtBackend
from vavl_runtime.backends.trt.profile import MAX_KEPT_SHAPES
from vavl_runtime.bundle import Bundle

MakeMachine = Callable[..., Machine]
MEMORY_CALLS = ("cudaMalloc", "cudaMallocHost", "cudaFree", "cudaFreeHost")


@pytest.mark.parametrize("version", VERSIONS)
def test_a_steady_state_launches_one_graph_and_allocates_nothing(
    version: str, folder: Path, bundle: Bundle, machine: MakeMachine
) -> None:
    cuda = machine(version).cuda
    build(folder, graphs=("audio",))
    backend = TensorRtBackend(0, bundle)
    load(backend, bundle, "audio")
    loaded = Counter({name: cuda.calls[name] for name in MEMORY_CALLS})
    for count in (20, 190, 250, 600):  # four shapes in two buckets
        backend.run("audio", tokens(count))
    assert cuda.calls["cudaStreamBeginCapture"] == 4
    before = Counter(cuda.calls)
    for count in (20, 190, 25, 250, 600, 599):  # the same shapes, once rounded
        backend.run("audio", tokens(count))
    steady = Counter(cuda.calls)
    steady.subtract(before)
    assert +steady == Counter({"cudaSetDevice": 6, "cudaGraphLaunch": 6, "cudaStreamSynchronize": 6})
    assert {name: cuda.calls[name] for name in MEMORY_CALLS} == loaded
    backend.close()


def test_a_new_shape_allocates_nothing_either(folder: Path, bundle: Bundle, machine: MakeMachine) -> None:
    cuda = machine("10.3.0").cuda
    build(folder, graphs=("visual",))
    backend = TensorRtBackend(0, bundle)
    load(backend, bundle, "visual")
    loaded = sum(cuda.calls[name] for name in MEMORY_CALLS)
    for count in range(1, 1501, 149):
        backend.run("visual", tokens(count, "visual"))
    assert sum(cuda.calls[name] for name in MEMORY_CALLS) == loaded


def test_closing_frees_everything(folder: Path, bundle: Bundle, machine: MakeMachine) -> None:
    cuda = machine("10.16.2.10").cuda
    build(folder, graphs=("audio", "audio_encoder"))
    backend = TensorRtBackend(0, bundle)
    load(backend, bundle, "audio", "audio_encoder")
    backend.run("audio", tokens(50))
    assert cuda.memory and cuda.streams and cuda.graphs == 1
    backend.close()
    assert not cuda.memory and not cuda.streams and cuda.graphs == 0


def test_kept_graphs_are_bounded(folder: Path, bundle: Bundle, machine: MakeMachine) -> None:
    cuda = machine("11.4.1").cuda
    build(folder, graphs=("pnet",))
    backend = TensorRtBackend(0, bundle)
    load(backend, bundle, "pnet")
    for side in range(20, 20 + MAX_KEPT_SHAPES + 5):
        backend.run("pnet", {"pixels": np.zeros((1, side, side, 3), np.float32)})
    assert cuda.graphs == MAX_KEPT_SHAPES


def test_results_survive_the_next_run(folder: Path, bundle: Bundle, machine: MakeMachine) -> None:
    machine("11.4.1")
    build(folder, graphs=("audio",))
    backend = TensorRtBackend(0, bundle)
    load(backend, bundle, "audio")
    first = backend.run("audio", tokens(40))
    kept = first["prediction"].copy()
    backend.run("audio", tokens(41))
    np.testing.assert_array_equal(first["prediction"], kept)


def test_a_graph_that_cannot_be_captured_runs_and_is_named(
    folder: Path, bundle: Bundle, machine: MakeMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = machine("11.4.1")
    build(folder, graphs=("audio",))
    context = world.tensorrt.IExecutionContext
    execute = context.execute_async_v3
    monkeypatch.setattr(
        context, "execute_async_v3", lambda self, s: not world.cuda.is_capturing(s) and execute(self, s)
    )
    backend = TensorRtBackend(0, bundle)
    load(backend, bundle, "audio")
    first, second = (backend.run("audio", tokens(40))["prediction"] for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert str(backend.info) == "TensorRT 11.4.1 cuda:0 (Orin), CUDA graphs except audio"
    assert world.cuda.calls["cudaStreamBeginCapture"] == 1


def test_a_stream_that_cannot_be_captured_yet_is_asked_again(
    folder: Path, bundle: Bundle, machine: MakeMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TensorRT-RTX compiles kernels in the background."""
    world = machine("11.4.1")
    build(folder, graphs=("audio",))
    answers = iter([False, False, True])
    monkeypatch.setattr(
        world.tensorrt.IExecutionContext, "is_stream_capturable", lambda self, stream: next(answers), raising=False
    )
    backend = TensorRtBackend(0, bundle)
    load(backend, bundle, "audio")
    for captured in (0, 0, 1, 1):
        backend.run("audio", tokens(40))
        assert world.cuda.calls["cudaStreamBeginCapture"] == captured
    assert str(backend.info) == "TensorRT 11.4.1 cuda:0 (Orin), CUDA graphs"

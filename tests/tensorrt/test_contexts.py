"""Each shape in use has a context of its own, and an engine that fails to open leaves nothing behind."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.tensorrt.conftest import Machine
from tests.tensorrt.engine_folder import build
from tests.tensorrt.fake_tensorrt import VERSIONS
from tests.tensorrt.graph_inputs import Inputs, load, tokens
from vavl_runtime.backends.ort.cpu import OnnxRuntimeBackend
from vavl_runtime.backends.trt.backend import TensorRtBackend
from vavl_runtime.backends.trt.profile import MAX_KEPT_SHAPES
from vavl_runtime.bundle import Bundle
from vavl_runtime.errors import BackendUnavailableError, EngineError, GraphFailedError

MakeMachine = Callable[..., Machine]


@pytest.mark.parametrize("version", VERSIONS)
def test_answers_stay_right_when_shapes_alternate(
    version: str, folder: Path, bundle: Bundle, machine: MakeMachine
) -> None:
    """A context that served several shapes would hold those of the last one when an older graph is launched."""
    machine(version)
    build(folder, graphs=("audio",))
    backend, reference = TensorRtBackend(0, bundle), OnnxRuntimeBackend(1)
    load(backend, bundle, "audio")
    load(reference, bundle, "audio")
    for count in (20, 60, 20, 190, 60, 20, 250, 190, 600, 250, 20):
        got, expected = backend.run("audio", tokens(count)), reference.run("audio", tokens(count))
        for name, value in expected.items():
            np.testing.assert_allclose(got[name], value, atol=2e-4 * max(1.0, float(np.abs(value).max())))
    backend.close()


def test_the_least_recently_used_context_goes(folder: Path, bundle: Bundle, machine: MakeMachine) -> None:
    cuda = machine("11.4.1").cuda
    build(folder, graphs=("pnet",))
    backend = TensorRtBackend(0, bundle)
    load(backend, bundle, "pnet")

    def captured(side: int) -> bool:
        before = cuda.calls["cudaStreamBeginCapture"]
        backend.run("pnet", {"pixels": np.zeros((1, side, side, 3), np.float32)})
        return cuda.calls["cudaStreamBeginCapture"] > before

    assert all([captured(side) for side in range(20, 20 + MAX_KEPT_SHAPES)])
    assert not captured(20)  # which makes 21 the one unused for longest
    assert captured(20 + MAX_KEPT_SHAPES)
    assert not captured(20)
    assert captured(21)
    assert cuda.contexts == cuda.graphs == MAX_KEPT_SHAPES
    backend.close()
    assert (cuda.contexts, cuda.graphs, cuda.memory) == (0, 0, {})


@pytest.mark.parametrize("allocations", range(9))
def test_memory_that_runs_out_while_a_graph_loads_is_free_again(
    allocations: int, folder: Path, bundle: Bundle, machine: MakeMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A graph of two inputs and two outputs has scratch memory and eight buffers."""
    cuda = machine("11.4.1").cuda
    build(folder, graphs=("audio",))
    backend = TensorRtBackend(0, bundle)
    allocate, left = cuda.cudaMalloc, allocations

    def malloc(size: int) -> Any:
        nonlocal left
        left -= 1
        return allocate(size if left >= 0 else cuda.left + 1)

    monkeypatch.setattr(cuda, "cudaMalloc", malloc)
    with pytest.raises(BackendUnavailableError, match="cudaErrorMemoryAllocation"):
        load(backend, bundle, "audio")
    assert (cuda.memory, cuda.contexts) == ({}, 0)
    left = 9
    load(backend, bundle, "audio")
    assert backend.run("audio", tokens(20))["prediction"].shape == (1, 6)
    backend.close()


def test_a_context_that_is_refused_leaves_nothing(
    folder: Path, bundle: Bundle, machine: MakeMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = machine("10.3.0")
    build(folder, graphs=("audio",))
    backend = TensorRtBackend(0, bundle)
    with monkeypatch.context() as patched:
        patched.setattr(world.tensorrt.ICudaEngine, "create_execution_context", lambda self, strategy: None)
        with pytest.raises(EngineError, match="makes no execution context"):
            load(backend, bundle, "audio")
    with monkeypatch.context() as patched:
        patched.setattr(world.tensorrt.IExecutionContext, "set_input_shape", lambda self, name, shape: False)
        with pytest.raises(GraphFailedError) as kept:  # the error keeps the frames that it passed
            load(backend, bundle, "audio")
        assert world.cuda.contexts == 0 and kept.value is not None
    load(backend, bundle, "audio")
    with monkeypatch.context() as patched:
        patched.setattr(world.tensorrt.IExecutionContext, "set_tensor_address", lambda self, name, memory: False)
        with pytest.raises(GraphFailedError) as kept:
            backend.run("audio", tokens(20))
        assert world.cuda.contexts == 0 and kept.value is not None
    assert backend.run("audio", tokens(20))["prediction"].shape == (1, 6)
    backend.close()
    assert not world.cuda.memory


def test_no_context_is_made_while_another_stream_is_captured(
    folder: Path, bundle: Bundle, machine: MakeMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    cuda = machine("10.16.2.10").cuda
    build(folder, graphs=("audio", "audio_encoder"))
    backend = TensorRtBackend(0, bundle)
    load(backend, bundle, "audio", "audio_encoder")
    sound: Inputs = {"waveform": np.ones((1, 9000), np.float32), "samples": np.array([9000], np.int64)}
    began, may_end = threading.Event(), threading.Event()
    begin = cuda.cudaStreamBeginCapture
    failed: list[BaseException] = []

    def capture(stream: Any, mode: Any) -> Any:
        result = begin(stream, mode)
        began.set()
        assert may_end.wait(60)
        return result

    def run(*arguments: Any) -> None:
        try:
            backend.run(*arguments)
        except BackendUnavailableError as error:
            failed.append(error)

    monkeypatch.setattr(cuda, "cudaStreamBeginCapture", capture)
    first = threading.Thread(target=run, args=("audio_encoder", sound))
    second = threading.Thread(target=run, args=("audio", tokens(20)))
    first.start()
    assert began.wait(60)
    second.start()
    second.join(0.3)
    may_end.set()
    for thread in (first, second):
        thread.join(60)
    assert failed == []
    assert str(backend.info).endswith("CUDA graphs")
    backend.close()

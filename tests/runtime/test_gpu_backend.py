"""ONNX Runtime on a GPU, against a stand-in: what is asked for, what is kept, and no fallback in silence."""

import inspect
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.runtime.fake_driver import FakeDriver
from tests.runtime.fake_onnxruntime import (
    CPU,
    CUDA,
    TENSORRT,
    FakeOnnxRuntime,
    InferenceSession,
    IOBinding,
    OrtValue,
    RunOptions,
    SessionOptions,
)
from tests.runtime.gpu_graph import H100, RECORD, check_answer, compute, install, make_backend, random_inputs
from vavl_runtime.backends.ort import io_binding
from vavl_runtime.backends.ort import providers as ort_providers
from vavl_runtime.backends.ort.gpu import OnnxRuntimeGpuBackend
from vavl_runtime.backends.ort.io_binding import GpuBinding
from vavl_runtime.bundle import open_bundle
from vavl_runtime.devices.pinned import PinnedMemory
from vavl_runtime.errors import BackendUnavailableError, InputError, InvalidArrayError


@pytest.mark.parametrize("graphs", [True, False])
@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 4)), min_size=1, max_size=30), st.integers(0, 5))
def test_answers_do_not_depend_on_what_was_kept(graphs: bool, shapes: list[tuple[int, int]], failing: int) -> None:
    """Buffers and captured graphs of other shapes and earlier values never show in an answer."""
    with pytest.MonkeyPatch.context() as patch:
        fake = FakeOnnxRuntime(compute)
        fake.records["graph"] = RECORD
        driver = install(patch, fake)
        patch.setattr(io_binding, "MAX_KEPT_SHAPES", 3)
        patch.setattr(io_binding, "MAX_REMEMBERED_SHAPES", 5)
        patch.setattr(io_binding, "MAX_CAPTURED_SHAPES", 6)
        fake.failing_captures = failing
        backend = make_backend(cuda_graphs=graphs)
        for seed, (batch, samples) in enumerate(shapes):
            check_answer(backend, random_inputs(batch, samples, seed))
            assert len(driver.pinned) <= 3 * 4
        assert len(fake.sessions[-1].graphs) <= 6
        backend.close()
        assert not driver.pinned


def test_a_shape_that_comes_back_allocates_once(runtime: FakeOnnxRuntime) -> None:
    backend = make_backend()
    made = []
    for seed in range(5):
        check_answer(backend, random_inputs(2, 8, seed))
        made.append(OrtValue.made)
    assert made[1] == made[0] + 4  # two inputs, two outputs
    assert made[1:] == [made[1]] * 4
    assert [graph for _, graph in runtime.sessions[-1].graphs] == ["1"]


class _OnCpu:
    """The real onnxruntime, with buffers that should lie on a GPU in memory of the host."""

    RunOptions = onnxruntime.RunOptions

    class OrtValue:
        @staticmethod
        def ortvalue_from_shape_and_type(shape: Any, element_type: Any, device_type: str, device_id: int) -> Any:
            return onnxruntime.OrtValue.ortvalue_from_shape_and_type(shape, element_type, "cpu", 0)


@pytest.mark.parametrize("pinned", [None, PinnedMemory(FakeDriver().load)])
@pytest.mark.parametrize("graphs", [True, False])
def test_the_real_bindings_answer_like_a_plain_run(
    light_bundle: Path, graphs: bool, pinned: PinnedMemory | None
) -> None:
    with open_bundle(light_bundle) as bundle:
        record = bundle.manifest.graphs["audio_encoder"]
        session = onnxruntime.InferenceSession(bundle.graph_file("audio_encoder"), providers=[CPU])
    binding = GpuBinding(_OnCpu, session, record, 0, graphs=graphs, pinned=pinned)
    generator = np.random.default_rng(0)
    for samples in (16_000, 8_000, 16_000, 16_000, 8_000, 16_000):
        inputs = {
            "waveform": generator.standard_normal((1, samples)).astype(np.float32),
            "samples": np.array([samples - 100]),
        }
        answer = binding.run(inputs)
        for name, value in zip(answer, session.run(list(answer), inputs), strict=True):
            np.testing.assert_allclose(answer[name], value, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("fake", [InferenceSession, IOBinding, OrtValue])
def test_the_stand_in_has_the_real_signatures(fake: type) -> None:
    real = getattr(onnxruntime, fake.__name__)
    methods = {name: method for name, method in inspect.getmembers(fake, callable) if name[0] != "_"}
    assert methods
    for name, method in methods.items():
        ours, theirs = (inspect.signature(each).parameters.values() for each in (method, getattr(real, name)))
        assert len(theirs) >= len(ours)
        for mine, its in zip(ours, theirs, strict=False):
            assert mine.kind is mine.POSITIONAL_ONLY or mine.name == its.name, name


@pytest.mark.parametrize("fake", [SessionOptions, RunOptions])
def test_the_stand_in_has_real_options(fake: type) -> None:
    real = getattr(onnxruntime, fake.__name__)()
    ours = {name for name in (*vars(fake), *vars(fake())) if name[0] != "_"} - {"entries"}
    assert ours and all(hasattr(real, name) for name in ours)


def test_arrays_that_are_not_contiguous(runtime: FakeOnnxRuntime) -> None:
    backend = make_backend()
    inputs = random_inputs(2, 8, 0)
    inputs["waveform"] = np.asfortranarray(inputs["waveform"])
    for _ in range(3):
        check_answer(backend, inputs)


def test_inputs_are_checked(runtime: FakeOnnxRuntime) -> None:
    with pytest.raises(InvalidArrayError, match="input samples: got float32"):
        make_backend().run("graph", {"waveform": np.zeros((1, 4), np.float32), "samples": np.zeros(1, np.float32)})


def test_what_the_cuda_provider_is_asked(runtime: FakeOnnxRuntime) -> None:
    assert str(make_backend().info) == "onnxruntime 1.31.1 CUDAExecutionProvider cuda:0 (NVIDIA H100), CUDA graphs"
    session = runtime.sessions[-1]
    options = session.options[CUDA]
    assert (options["cudnn_conv_algo_search"], options["prefer_nhwc"]) == ("HEURISTIC", "0")
    assert (options["device_id"], options["enable_cuda_graph"], options["use_tf32"]) == ("0", "1", "0")
    # The file for ONNX Runtime on GPUs joins norms with a residual; export measures its drift with sums in fp32.
    assert options["enable_skip_layer_norm_strict_mode"] == "1"
    assert session.kwargs == {"enable_fallback": 0}


@pytest.mark.parametrize("tensorrt", [False, True])
def test_a_provider_that_does_not_start_is_an_error(
    runtime: FakeOnnxRuntime, monkeypatch: pytest.MonkeyPatch, light_bundle: Path, tensorrt: bool
) -> None:
    runtime.loadable = {CUDA} if tensorrt else {TENSORRT}
    monkeypatch.setattr(ort_providers, "why_not", lambda name: f"lib of {name} is missing")
    provider = TENSORRT if tensorrt else CUDA
    with (
        open_bundle(light_bundle) as bundle,
        pytest.raises(BackendUnavailableError, match=f"does not start {provider}: lib of {provider} is missing"),
    ):
        OnnxRuntimeGpuBackend(H100, tensorrt=tensorrt, bundle=bundle)


def test_a_provider_that_fails_for_one_graph_is_an_error(runtime: FakeOnnxRuntime) -> None:
    backend = OnnxRuntimeGpuBackend(H100)
    runtime.loadable = set()
    with pytest.raises(BackendUnavailableError, match=rf"did not start {CUDA} but \['{CPU}'\]"):
        backend.load("graph", Path("graph.onnx"), RECORD)


def test_a_build_for_the_cpu_names_the_one_for_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", FakeOnnxRuntime(compute, listed=()))
    with pytest.raises(
        BackendUnavailableError, match=r"pip uninstall -y onnxruntime, then pip install onnxruntime-gpu"
    ):
        OnnxRuntimeGpuBackend(H100)


@pytest.mark.parametrize("feature", ["graph capture", "CUDA Graph"])
def test_a_graph_that_cannot_be_captured_runs_and_is_named(runtime: FakeOnnxRuntime, feature: str) -> None:
    runtime.cpu_arithmetic, runtime.feature = {"graph"}, feature
    backend = make_backend()
    assert str(backend.info).endswith("CUDA graphs except graph")
    for seed in range(3):
        check_answer(backend, random_inputs(1, 6, seed))


def test_a_measurement_chooses_convolutions(runtime: FakeOnnxRuntime) -> None:
    make_backend(conv_search="EXHAUSTIVE", prefer_nhwc=True)
    options = runtime.sessions[-1].options[CUDA]
    assert (options["cudnn_conv_algo_search"], options["prefer_nhwc"]) == ("EXHAUSTIVE", "1")
    with pytest.raises(InputError, match="conv_search: got 'BEST', expected one of HEURISTIC, EXHAUSTIVE, DEFAULT"):
        make_backend(conv_search="BEST")


def test_the_least_recently_used_shape_gives_way(runtime: FakeOnnxRuntime) -> None:
    backend = make_backend()
    graphs = runtime.sessions[-1].graphs
    kept = range(2, 2 + 2 * io_binding.MAX_KEPT_SHAPES, 2)
    for samples in (*kept, *kept, kept[0], 100, 100):  # the second of the kept ones gives way
        check_answer(backend, random_inputs(1, samples, samples))
    assert len(graphs) == io_binding.MAX_KEPT_SHAPES + 1
    for samples in (kept[0], *kept[2:], 100):
        check_answer(backend, random_inputs(1, samples, 1))
    assert len(graphs) == io_binding.MAX_KEPT_SHAPES + 1
    check_answer(backend, random_inputs(1, kept[1], 1))
    assert len(graphs) == io_binding.MAX_KEPT_SHAPES + 2
    assert str(backend.info).endswith(", CUDA graphs")


def test_onnxruntime_is_asked_to_release_the_graph_of_a_shape_that_gives_way(
    runtime: FakeOnnxRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(io_binding, "MAX_KEPT_SHAPES", 2)
    backend = make_backend()
    released: list[int] = []
    runtime.sessions[-1].release_captured_graph = released.append  # type: ignore[attr-defined]
    for samples in (2, 2, 4, 4, 6, 6):
        check_answer(backend, random_inputs(1, samples, samples))
    assert released == [1]
    backend.close()
    assert sorted(released) == [1, 2, 3]


def test_captured_graphs_are_bounded(runtime: FakeOnnxRuntime, monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX Runtime keeps those of evicted shapes, too."""
    monkeypatch.setattr(io_binding, "MAX_CAPTURED_SHAPES", 2)
    backend = make_backend()
    for samples in (2, 2, 4, 4):
        check_answer(backend, random_inputs(1, samples, samples))
    assert str(backend.info).endswith(", CUDA graphs")
    for samples in (6, 6, 6, 2, 4):
        check_answer(backend, random_inputs(1, samples, samples))
    assert str(backend.info).endswith(", CUDA graphs except more than 128 shapes of graph")
    assert len(runtime.sessions[-1].graphs) == 2


def test_threads_share_what_was_captured(runtime: FakeOnnxRuntime) -> None:
    backend = make_backend()
    for seed in range(2):
        check_answer(backend, random_inputs(1, 8, seed))
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda seed: check_answer(backend, random_inputs(1, 8, seed)), range(32)))
    assert len(runtime.sessions[-1].graphs) == 1


def test_a_failed_capture_runs_without_a_graph_and_is_counted(runtime: FakeOnnxRuntime) -> None:
    backend = make_backend()
    runtime.failing_captures = 2
    for seed in range(4):
        check_answer(backend, random_inputs(1, 8, seed))
    assert str(backend.info).endswith(", CUDA graphs except 2 failed captures of graph")
    assert len(runtime.sessions[-1].graphs) == 1


def test_a_shape_that_is_never_captured_is_not_tried_for_ever(runtime: FakeOnnxRuntime) -> None:
    backend = make_backend()
    runtime.failing_captures = 100
    for seed in range(8):
        check_answer(backend, random_inputs(1, 8, seed))
    assert str(backend.info).endswith(f"except {io_binding.MAX_CAPTURE_ATTEMPTS} failed captures of graph")


def test_without_page_locked_memory_a_run_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeOnnxRuntime(compute)
    fake.records["graph"] = RECORD
    driver = install(monkeypatch, fake)
    backend = make_backend()
    driver.pinned_left = 2
    for seed in range(2):
        check_answer(backend, random_inputs(1, 8, seed))
    assert not driver.pinned
    assert str(backend.info).endswith(", CUDA graphs except 1 failed captures of graph")
    driver.pinned_left = 4
    check_answer(backend, random_inputs(1, 8, 2))
    assert len(driver.pinned) == 4


def test_copies_need_no_page_locked_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeOnnxRuntime(compute)
    fake.records["graph"] = RECORD
    driver = install(monkeypatch, fake)
    backend = make_backend(pinned=False)
    for seed in range(3):
        check_answer(backend, random_inputs(1, 8, seed))
    assert not driver.pinned


def test_a_graph_without_capture_is_named_once(runtime: FakeOnnxRuntime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(io_binding, "MAX_KEPT_SHAPES", 1)
    runtime.cpu_arithmetic = {"graph"}
    backend = make_backend()
    for samples in (2, 2, 4, 4):
        check_answer(backend, random_inputs(1, samples, samples))
    assert str(backend.info).endswith(", CUDA graphs except graph")


def test_failures_of_a_run_are_ours(runtime: FakeOnnxRuntime) -> None:
    def fail(inputs: object) -> list[NDArray[Any]]:
        raise RuntimeError("CUDA failure 2: out of memory")

    runtime.compute = fail
    backend = make_backend()
    with pytest.raises(
        BackendUnavailableError, match=r"graph graph: .* cuda:0 \(NVIDIA H100\) \(CUDA failure 2: out of"
    ):
        backend.run("graph", random_inputs(1, 4, 0))

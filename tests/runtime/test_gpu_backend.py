"""ONNX Runtime on a GPU, against a stand-in: what is asked for, what is kept, and no fallback in silence."""

import inspect
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

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
from vavl_runtime.backends.ort import io_binding
from vavl_runtime.backends.ort import providers as ort_providers
from vavl_runtime.backends.ort.gpu import OnnxRuntimeGpuBackend
from vavl_runtime.backends.ort.io_binding import GpuBinding
from vavl_runtime.backends.ort.providers import ONE_NODE, RECORD_NODES, nodes_taken, reason_in_log, why_not
from vavl_runtime.backends.ort.trt_provider import engine_folder, profile_options
from vavl_runtime.bundle import open_bundle
from vavl_runtime.bundle.manifest import GraphRecord, TensorRecord
from vavl_runtime.devices.gpu import Gpu
from vavl_runtime.errors import BackendUnavailableError, InvalidArrayError

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


def _compute(inputs: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
    waveform, samples = inputs["waveform"], inputs["samples"]
    return [2 * waveform[:, ::2] + samples[:, None].astype(np.float32), (samples + 1) // 2]


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> FakeOnnxRuntime:
    fake = FakeOnnxRuntime(_compute)
    fake.records["graph"] = RECORD
    monkeypatch.setitem(sys.modules, "onnxruntime", fake)
    return fake


def _backend(**options: Any) -> OnnxRuntimeGpuBackend:
    backend = OnnxRuntimeGpuBackend(H100, **options)
    backend.load("graph", Path("graph.onnx"), RECORD)
    return backend


def _inputs(batch: int, samples: int, seed: int) -> dict[str, NDArray[Any]]:
    generator = np.random.default_rng(seed)
    return {
        "waveform": generator.standard_normal((batch, samples)).astype(np.float32),
        "samples": generator.integers(1, samples + 1, batch),
    }


def _check(backend: OnnxRuntimeGpuBackend, inputs: dict[str, NDArray[Any]]) -> None:
    answer = backend.run("graph", inputs)
    features, lengths = _compute(inputs)
    np.testing.assert_array_equal(answer["features"], features)
    np.testing.assert_array_equal(answer["lengths"], lengths)


@pytest.mark.parametrize("graphs", [True, False])
@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 4)), min_size=1, max_size=30))
def test_answers_do_not_depend_on_what_was_kept(graphs: bool, shapes: list[tuple[int, int]]) -> None:
    """Buffers and captured graphs of other shapes and earlier values never show in an answer."""
    with pytest.MonkeyPatch.context() as patch:
        fake = FakeOnnxRuntime(_compute)
        fake.records["graph"] = RECORD
        patch.setitem(sys.modules, "onnxruntime", fake)
        patch.setattr(io_binding, "MAX_KEPT_SHAPES", 3)
        patch.setattr(io_binding, "MAX_REMEMBERED_SHAPES", 5)
        backend = _backend(cuda_graphs=graphs)
        for seed, (batch, samples) in enumerate(shapes):
            _check(backend, _inputs(batch, samples, seed))
        assert len(fake.sessions[-1].graphs) <= 3


def test_a_shape_that_comes_back_allocates_once(runtime: FakeOnnxRuntime) -> None:
    backend = _backend()
    made = []
    for seed in range(5):
        _check(backend, _inputs(2, 8, seed))
        made.append(OrtValue.made)
    assert made[1] == made[0] + 4  # two inputs, two outputs
    assert made[1:] == [made[1]] * 4
    assert list(runtime.sessions[-1].graphs) == ["1"]


class _OnCpu:
    """The real onnxruntime, with buffers that should lie on a GPU in memory of the host."""

    RunOptions = onnxruntime.RunOptions

    class OrtValue:
        @staticmethod
        def ortvalue_from_shape_and_type(shape: Any, element_type: Any, device_type: str, device_id: int) -> Any:
            return onnxruntime.OrtValue.ortvalue_from_shape_and_type(shape, element_type, "cpu", 0)


@pytest.mark.parametrize("graphs", [True, False])
def test_the_real_bindings_answer_like_a_plain_run(light_bundle: Path, graphs: bool) -> None:
    with open_bundle(light_bundle) as bundle:
        record = bundle.manifest.graphs["audio_encoder"]
        session = onnxruntime.InferenceSession(bundle.graph_file("audio_encoder"), providers=[CPU])
    binding = GpuBinding(_OnCpu, session, record, 0, graphs=graphs)
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
    backend = _backend()
    inputs = _inputs(2, 8, 0)
    inputs["waveform"] = np.asfortranarray(inputs["waveform"])
    for _ in range(3):
        _check(backend, inputs)


def test_inputs_are_checked(runtime: FakeOnnxRuntime) -> None:
    with pytest.raises(InvalidArrayError, match="input samples: got float32"):
        _backend().run("graph", {"waveform": np.zeros((1, 4), np.float32), "samples": np.zeros(1, np.float32)})


def test_what_the_cuda_provider_is_asked(runtime: FakeOnnxRuntime) -> None:
    assert str(_backend().info) == "onnxruntime 1.31.1 CUDAExecutionProvider cuda:0 (NVIDIA H100), CUDA graphs"
    session = runtime.sessions[-1]
    options = session.options[CUDA]
    assert options["cudnn_conv_algo_search"] == "HEURISTIC"
    assert (options["device_id"], options["enable_cuda_graph"], options["use_tf32"]) == ("0", "1", "0")
    assert session.kwargs == {"enable_fallback": 0}


def test_the_provider_is_proved_on_one_node_that_must_not_run_on_the_cpu(
    runtime: FakeOnnxRuntime, capsys: pytest.CaptureFixture[str]
) -> None:
    OnnxRuntimeGpuBackend(H100)
    (probe,) = runtime.sessions
    assert (probe.name, probe.session_options.entries) == ("probe", {"session.disable_cpu_ep_fallback": "1"})
    assert runtime.severity == [4, 2]
    assert capsys.readouterr().out == ""  # preload_dlls prints, and stdout is for results


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
    monkeypatch.setitem(sys.modules, "onnxruntime", FakeOnnxRuntime(_compute, listed=()))
    with pytest.raises(
        BackendUnavailableError, match=r"pip uninstall -y onnxruntime, then pip install onnxruntime-gpu"
    ):
        OnnxRuntimeGpuBackend(H100)


@pytest.mark.parametrize("feature", ["graph capture", "CUDA Graph"])
def test_a_graph_that_cannot_be_captured_runs_and_is_named(runtime: FakeOnnxRuntime, feature: str) -> None:
    runtime.cpu_arithmetic, runtime.feature = {"graph"}, feature
    backend = _backend()
    assert str(backend.info).endswith("CUDA graphs except graph")
    for seed in range(3):
        _check(backend, _inputs(1, 6, seed))


def test_shapes_that_come_back_too_late_for_a_cuda_graph_are_said(runtime: FakeOnnxRuntime) -> None:
    backend = _backend()
    kept = range(2, 2 + 2 * io_binding.MAX_KEPT_SHAPES, 2)
    for samples in (*kept, *kept, 100):  # the last one comes for the first time
        _check(backend, _inputs(1, samples, samples))
    assert str(backend.info).endswith(", CUDA graphs")
    _check(backend, _inputs(1, 100, 0))
    assert str(backend.info).endswith(", CUDA graphs except more than 16 shapes of graph")
    assert len(runtime.sessions[-1].graphs) == 16
    for samples in kept:  # those that were captured still are
        _check(backend, _inputs(1, samples, 1))


def test_a_graph_without_capture_is_named_once(runtime: FakeOnnxRuntime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(io_binding, "MAX_KEPT_SHAPES", 1)
    runtime.cpu_arithmetic = {"graph"}
    backend = _backend()
    for samples in (2, 2, 4, 4):
        _check(backend, _inputs(1, samples, samples))
    assert str(backend.info).endswith(", CUDA graphs except graph")


def test_failures_of_a_run_are_ours(runtime: FakeOnnxRuntime) -> None:
    def fail(inputs: object) -> list[NDArray[Any]]:
        raise RuntimeError("CUDA failure 2: out of memory")

    runtime.compute = fail
    backend = _backend()
    with pytest.raises(
        BackendUnavailableError, match=r"graph graph: .* cuda:0 \(NVIDIA H100\) \(CUDA failure 2: out of"
    ):
        backend.run("graph", _inputs(1, 4, 0))


def test_tensorrt_keeps_engines_apart(
    runtime: FakeOnnxRuntime, light_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ONNX Runtime's key of an engine leaves the weights out: two bundles of one architecture share no folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    runtime.records["audio"] = RECORD
    with open_bundle(light_bundle) as bundle:
        backend = _backend(tensorrt=True, bundle=bundle)
        session = runtime.sessions[-1]
        folders = {
            engine_folder(bundle, name, RECORD.model_copy(update={"precision": precision}))
            for name in ("audio", "visual")
            for precision in ("fp32", "fp16")
        }
        bundle.sha256 = "0" * 64
        folders.add(engine_folder(bundle, "audio", RECORD))
    assert len(folders) == 5
    assert list(session.options) == [TENSORRT, CUDA]
    options = session.options[TENSORRT]
    assert Path(options["trt_engine_cache_path"]).is_dir() and options["trt_engine_cache_enable"] == "1"
    assert tmp_path in Path(options["trt_engine_cache_path"]).parents
    assert options["trt_fp16_enable"] == "0"
    assert options["trt_profile_min_shapes"].startswith("waveform:1x")
    for seed in range(3):
        _check(backend, _inputs(1, 8, seed))


def _load_with_tensorrt(light_bundle: Path) -> OnnxRuntimeGpuBackend:
    with open_bundle(light_bundle) as bundle:
        return _backend(tensorrt=True, bundle=bundle)


@pytest.mark.parametrize(
    ("assigned", "left_out"),
    [
        ([(TENSORRT, 40)], ""),
        ([(TENSORRT, 30), (CUDA, 1), (TENSORRT, 6), (CPU, 1)], ", 2 of 38 nodes of graph"),
    ],
)
def test_what_tensorrt_leaves_out_is_counted(
    runtime: FakeOnnxRuntime,
    light_bundle: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    assigned: list[tuple[str, int]],
    left_out: str,
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    runtime.assigned = assigned
    assert str(_load_with_tensorrt(light_bundle).info).endswith(f", {CUDA} for onet, pnet, rnet{left_out}")


def test_a_graph_of_which_tensorrt_takes_nothing_is_an_error(
    runtime: FakeOnnxRuntime, light_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    runtime.assigned = [(CUDA, 30), (CPU, 2)]
    with pytest.raises(BackendUnavailableError, match=r"takes none of its 32 nodes, .*backend onnxruntime, or"):
        _load_with_tensorrt(light_bundle)


def test_an_onnxruntime_that_does_not_tell_is_said_not_to(
    runtime: FakeOnnxRuntime, light_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before 1.24 there is no such method."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delattr(InferenceSession, "get_provider_graph_assignment_info")
    assert str(_load_with_tensorrt(light_bundle).info).endswith(", an unknown part of graph")


@pytest.mark.skipif(
    not hasattr(onnxruntime.InferenceSession, "get_provider_graph_assignment_info"), reason="before onnxruntime 1.24"
)
def test_the_real_onnxruntime_tells_who_runs_what() -> None:
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry(RECORD_NODES, "1")
    session = onnxruntime.InferenceSession(ONE_NODE, options, providers=[CPU])
    assert nodes_taken(session, CPU) == (1, 1)
    assert nodes_taken(session, TENSORRT) == (0, 1)


def test_the_detector_stays_with_cuda(runtime: FakeOnnxRuntime, light_bundle: Path) -> None:
    runtime.records["pnet"] = RECORD
    with open_bundle(light_bundle) as bundle:
        backend = OnnxRuntimeGpuBackend(H100, tensorrt=True, bundle=bundle)
        backend.load("pnet", Path("pnet.onnx"), RECORD)
    assert list(runtime.sessions[-1].options) == [CUDA]
    assert "CUDAExecutionProvider for onet, pnet, rnet" in str(backend.info)


def test_profiles_hold_what_the_bundle_may_see(light_bundle: Path) -> None:
    with open_bundle(light_bundle) as bundle:
        manifest = bundle.manifest
    for name, graph in manifest.graphs.items():
        options = profile_options(graph, manifest.limits)
        assert bool(options) == (name not in ("pnet", "rnet", "onet"))
        sizes = [
            [
                int(size)
                for shape in options[f"trt_profile_{key}_shapes"].split(",")
                for size in shape.split(":")[1].split("x")
            ]
            for key in ("min", "opt", "max")
            if options
        ]
        if sizes:
            least, usual, largest = np.array(sizes)
            assert (least <= usual).all() and (usual <= largest).all()


def test_the_graph_of_one_node_is_what_it_says() -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.load_from_string(ONE_NODE)
    onnx.checker.check_model(model, full_check=True)
    assert [node.op_type for node in model.graph.node] == ["Relu"]
    assert (model.ir_version, model.opset_import[0].version) == (9, 18)


@pytest.mark.parametrize(
    ("log", "reason"),
    [
        (
            "\x1b[1;31m2026 [E:onnxruntime:Default] Failed to load library /x/libonnxruntime_providers_cuda.so "
            "with error: libcublasLt.so.13: cannot open shared object file: No such file or directory\n\x1b[m\nother",
            "libcublasLt.so.13: cannot open shared object file: No such file or directory",
        ),
        ("[E] CUDA failure 35: CUDA driver version is insufficient ; GPU=-1\nmore", "CUDA failure 35"),
        ("Traceback\nModuleNotFoundError: No module named 'x'\n\n", "ModuleNotFoundError: No module named 'x'"),
        ("", "no reason given"),
    ],
)
def test_the_reason_is_found_in_the_log(log: str, reason: str) -> None:
    assert reason_in_log(log).startswith(reason)


def test_a_process_of_its_own_says_why_not() -> None:
    """With the onnxruntime that is installed here, whichever it is."""
    reason = why_not(CUDA)
    assert reason is not None and "\n" not in reason and len(reason) > 10

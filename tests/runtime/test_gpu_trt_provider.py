"""TensorRT inside ONNX Runtime, against a stand-in: engines, profiles, and the nodes it leaves out."""

from pathlib import Path

import numpy as np
import pytest

from tests.runtime.fake_onnxruntime import (
    CPU,
    CUDA,
    TENSORRT,
    FakeOnnxRuntime,
    InferenceSession,
)
from tests.runtime.gpu_graph import H100, RECORD, check_answer, make_backend, random_inputs
from vavl_runtime.backends.ort.gpu import OnnxRuntimeGpuBackend
from vavl_runtime.backends.ort.trt_provider import engine_folder, profile_options
from vavl_runtime.bundle import open_bundle
from vavl_runtime.errors import BackendUnavailableError


def test_tensorrt_keeps_engines_apart(
    runtime: FakeOnnxRuntime, light_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ONNX Runtime's key of an engine leaves the weights out: two bundles of one architecture share no folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    runtime.records["audio"] = RECORD
    with open_bundle(light_bundle) as bundle:
        backend = make_backend(tensorrt=True, bundle=bundle)
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
        check_answer(backend, random_inputs(1, 8, seed))


def _load_with_tensorrt(light_bundle: Path) -> OnnxRuntimeGpuBackend:
    with open_bundle(light_bundle) as bundle:
        return make_backend(tensorrt=True, bundle=bundle)


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

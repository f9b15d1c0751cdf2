"""One way to build for TensorRT 10.3, 10.16 and 11.4, and what is said when it does not work."""

import json
import multiprocessing
import sys
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from tests.tensorrt.fake_tensorrt import MAGIC, VERSIONS, make_tensorrt
from vavl_export.errors import ExportError
from vavl_export.tensorrt import process
from vavl_export.tensorrt.adapter import BuildOptions, build_plan
from vavl_export.tensorrt.process import Job, build_in_process
from vavl_runtime.backends.trt.engine_store import Profile, ShapeRange
from vavl_runtime.backends.trt.library import TensorRt, find_tensorrt
from vavl_runtime.errors import BackendUnavailableError

MIB = 1 << 20
OPTIONS = BuildOptions(workspace_bytes=256 * MIB, tactic_bytes=1024 * MIB)
PROFILES = (
    Profile(inputs={"x": ShapeRange(min=(1, 4), opt=(2, 4), max=(8, 4))}),
    Profile(inputs={"x": ShapeRange(min=(8, 4), opt=(16, 4), max=(16, 4))}),
)


def library(version: str, *, gpu: bool = True) -> TensorRt:
    return TensorRt(make_tensorrt(version, gpu=gpu), "tensorrt", version)


def graph(folder: Path, operator: str = "Relu") -> Path:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 4]) for name in ("x", "y")]
    node = helper.make_node(operator, ["x"], ["y"], name="the_node")
    model = helper.make_model(helper.make_graph([node], "g", values[:1], values[1:]))
    onnx.save(model, folder / "graph.onnx")
    return folder / "graph.onnx"


@pytest.mark.parametrize("version", VERSIONS)
def test_a_plan_has_its_profiles_and_a_timing_cache(version: str, tmp_path: Path) -> None:
    shares: list[float] = []
    built = build_plan(library(version), graph(tmp_path), PROFILES, OPTIONS, shares.append)
    plan = json.loads(built.plan.removeprefix(MAGIC))
    assert plan["profiles"] == [{"x": [[1, 4], [2, 4], [8, 4]]}, {"x": [[8, 4], [16, 4], [16, 4]]}]
    assert plan["strongly_typed"]
    assert plan["flags"] == []  # no FP16 or BF16, and no TF32, which is on by default
    assert built.timing_cache.startswith(version.encode())
    assert built.activation_bytes == 4096
    assert shares == [0.5, 1.0]  # of the outermost phase


@pytest.mark.parametrize("version", VERSIONS)
def test_stripped_and_version_compatible_plans_are_asked_for_by_flags(version: str, tmp_path: Path) -> None:
    options = BuildOptions(256 * MIB, stripped=True, version_compatible=True)
    built = build_plan(library(version), graph(tmp_path), PROFILES, options)
    flags = json.loads(built.plan.removeprefix(MAGIC))["flags"]
    assert flags == ["REFIT_IDENTICAL", "STRIP_PLAN", "VERSION_COMPATIBLE"]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_graph_that_cannot_be_parsed_names_node_and_operator(version: str, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"graph.onnx: TensorRT cannot read the graph: node the_node: NonZero plugin"):
        build_plan(library(version), graph(tmp_path, "NonZero"), PROFILES, OPTIONS)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_builder_that_returns_nothing_tells_what_was_logged(version: str, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"TensorRT .* builds no engine: Could not find any implementation for node"):
        build_plan(library(version), graph(tmp_path), PROFILES, BuildOptions(workspace_bytes=1))


@pytest.mark.parametrize("version", VERSIONS)
def test_a_wrong_profile_is_refused(version: str, tmp_path: Path) -> None:
    wrong = Profile(inputs={"x": ShapeRange(min=(9, 4), opt=(2, 4), max=(8, 4))})
    with pytest.raises(ExportError, match=r"refuses the profile .*: Invalid optimization profiles for input tensors x"):
        build_plan(library(version), graph(tmp_path), (wrong,), OPTIONS)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_builder_without_a_gpu_is_an_error_of_ours(version: str, tmp_path: Path) -> None:
    with pytest.raises(BackendUnavailableError, match=r"makes no builder: CUDA initialization failure with error: 35"):
        build_plan(library(version, gpu=False), graph(tmp_path), PROFILES, OPTIONS)


def test_a_timing_cache_of_another_version_is_started_anew(tmp_path: Path) -> None:
    old = build_plan(library("10.3.0"), graph(tmp_path), PROFILES, OPTIONS).timing_cache
    options = BuildOptions(256 * MIB, timing_cache=old)
    assert build_plan(library("10.16.2.10"), graph(tmp_path), PROFILES, options).timing_cache.startswith(b"10.16")


def test_tensorrt_cannot_build_for_another_gpu(tmp_path: Path) -> None:
    options = BuildOptions(256 * MIB, compute_capability="8.6")
    with pytest.raises(BackendUnavailableError, match=r"compute_capability needs TensorRT-RTX"):
        build_plan(library("11.4.1"), graph(tmp_path), PROFILES, options)


def test_only_versions_before_10_8_need_an_engine_for_each_profile() -> None:
    assert library("10.3.0").one_profile_only
    assert not library("10.8.0").one_profile_only
    assert not library("11.4.1").one_profile_only
    assert not TensorRt(None, "tensorrt_rtx", "1.7.1").one_profile_only


def test_a_version_that_is_too_old_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", make_tensorrt("8.6.2"))
    with pytest.raises(BackendUnavailableError, match=r"TensorRT 8\.6\.2 is too old, expected at least 10\.3"):
        find_tensorrt()


def test_no_library_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("tensorrt", "tensorrt_rtx"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(BackendUnavailableError, match=r"TensorRT cannot be imported .*python3-libnvinfer"):
        find_tensorrt()


class TestProcess:
    """Builds in a process of their own."""

    @pytest.fixture
    def installed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A `tensorrt` that a new process can import."""
        code = """import os, sys
from tests.tensorrt.fake_tensorrt import make_tensorrt
sys.modules[__name__] = module = make_tensorrt("10.3.0")
if os.environ.get("FAKE_CRASH"):
    module.OnnxParser = lambda network, logger: os.kill(os.getpid(), 11)
"""
        (tmp_path / "tensorrt.py").write_text(code)
        monkeypatch.syspath_prepend(tmp_path)

    @pytest.mark.usefixtures("installed")
    def test_the_plan_comes_back(self, tmp_path: Path) -> None:
        shares: list[float] = []
        built = build_in_process(Job("tensorrt", graph(tmp_path), PROFILES, OPTIONS), shares.append)
        assert built.plan.startswith(MAGIC)
        assert shares == [0.5, 1.0]

    @pytest.mark.usefixtures("installed")
    def test_an_error_comes_back_as_it_is(self, tmp_path: Path) -> None:
        job = Job("tensorrt", graph(tmp_path, "NonZero"), PROFILES, OPTIONS)
        with pytest.raises(ExportError, match="node the_node: NonZero plugin creator"):
            build_in_process(job)

    @pytest.mark.usefixtures("installed")
    def test_a_crash_ends_the_build_only(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("FAKE_CRASH", "1")
        with pytest.raises(ExportError, match=r"the process that built the engine died \(exit -11\)"):
            build_in_process(Job("tensorrt", graph(tmp_path), PROFILES, OPTIONS))


def test_a_builder_ends_with_its_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    """A build takes minutes, which nobody waits for once the command was killed."""
    called: list[str] = []
    monkeypatch.setattr(process, "end_with_parent", lambda: called.append("end_with_parent"))
    monkeypatch.setattr(process, "find_tensorrt", lambda names: called.append("find_tensorrt"))
    monkeypatch.setattr(process, "build_plan", lambda *_: None)
    ours, theirs = multiprocessing.Pipe(duplex=False)
    process._work(Job("tensorrt", Path("graph.onnx"), PROFILES, OPTIONS), theirs)
    assert called == ["end_with_parent", "find_tensorrt"]
    assert ours.recv() is None

"""The program for a GPU host, rehearsed on the CPU: the plan, PyTorch's sides, resuming, the table."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.gpu import run
from benchmarks.gpu.ceilings import count_work, measure_ceilings
from benchmarks.gpu.plan import HEADLINE, PYTORCH, Point, point_of, points, side_name, sides, specification
from benchmarks.gpu.pytorch import PytorchSubject, require_parity
from benchmarks.gpu.tables import COMPILED, bound_ms, figure, table
from benchmarks.modules import torch_modules
from tests.vavl_bench.fakes import QUICK, always
from tests.vavl_bench.reports import made_measurement
from vavl_bench.inputs import graph_inputs
from vavl_bench.plan import MeasurementSpec
from vavl_bench.schema import Measurement
from vavl_export import Verification
from vavl_export.checks import Check
from vavl_export.errors import ParityError
from vavl_export.precision.report import VerifyReport
from vavl_runtime.backends.ort.cpu import OnnxRuntimeBackend
from vavl_runtime.bundle import open_bundle
from vavl_runtime.errors import BackendUnavailableError, InputError

OURS = "onnxruntime fp16"


def side(p50_ms: float) -> dict[str, Any]:
    """A measured side, with the fields that the table reads."""
    metrics = {"latency": {"p50_ms": p50_ms}, "throughput": {"clips_per_s": 1000 / p50_ms}}
    return {"metrics": metrics, "error": None}


def record(sides: dict[str, dict[str, Any]], point: Point = HEADLINE) -> dict[str, Any]:
    """A record of one point of 200 GFLOP and 400 MB on a device of 800 TFLOP/s and 3.2 TB/s."""
    work = {"operations": 200_000_000_000, "weight_bytes": 400_000_000}
    named = {"scope": point.scope, "subject": point.subject, "seconds": point.seconds, "batch": point.batch}
    return {
        "benchmark": "gpu",
        "command": "python -m benchmarks.gpu",
        "device": "cuda:0",
        "preset": "paper",
        "environment": {"gpu": "GPU X", "driver": "1", "torch": "2.11"},
        "ceilings": {"copy_bytes_per_s": 3.2e12, "product_operations_per_s": 8e14},
        "points": [{**named, **work, "sides": sides}],
    }


def test_points_are_distinct_and_the_headline_comes_first() -> None:
    assert points()[0] == HEADLINE
    assert len(set(points())) == len(points())
    assert set(sides(HEADLINE)) >= {side for point in points() for side in sides(point)}


@pytest.mark.parametrize("graph", ["audio_encoder", "face_encoder"])
def test_pytorch_answers_as_the_runtime_does(light_bundle: Path, graph: str) -> None:
    """The packaged encoders have no weights of their own, so the modules are the graphs'."""
    spec = specification(Point("graph", graph, 1.0, 2), "pytorch eager", "fp32", light_bundle, "cpu")
    subject = PytorchSubject(spec, "light")
    subject.load()
    got = subject.outputs()
    backend = OnnxRuntimeBackend(1)
    with open_bundle(light_bundle) as bundle:
        described = bundle.manifest.graphs[graph]
        backend.load("graph", bundle.graph_file(graph), described)
    expected = backend.run("graph", graph_inputs(graph, described, 2, 1.0))
    assert got.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(got[name].numpy(), value, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(("backend", "precision"), [("pytorch eager", "fp32"), ("pytorch CUDA graph", "fp16")])
def test_a_chain_predicts_for_every_clip_of_a_batch(light_bundle: Path, backend: str, precision: str) -> None:
    spec = specification(Point("model", "audio_visual", 0.4, 2), backend, precision, light_bundle, "cpu")
    subject = PytorchSubject(spec, "light")
    subject.load()
    prediction = subject.outputs()["prediction"]
    assert prediction.shape[0] == 2
    assert torch.isfinite(prediction).all()
    assert subject.backend == f"{backend} {torch.__version__}"
    assert subject.media.frames == 10


def test_work_of_a_path_is_that_of_its_graphs(light_bundle: Path) -> None:
    with open_bundle(light_bundle) as bundle:
        manifest = bundle.manifest
    modules = torch_modules(manifest, "light")

    def operations(point: Point) -> int:
        return int(count_work(point, modules, manifest)["operations"])

    parts = {name: operations(Point("graph", name, 1.0)) for name in ("audio_encoder", "face_encoder", "audio_visual")}
    whole = parts["audio_encoder"] + 25 * parts["face_encoder"] + parts["audio_visual"]
    assert operations(Point("model", "audio_visual", 1.0)) == whole
    assert operations(Point("model", "audio_visual", 1.0, batch=4)) == whole  # of one clip


def test_ceilings_are_measured() -> None:
    assert min(measure_ceilings("cpu").values()) > 1e6


def test_a_record_continues_and_keeps_what_fails(
    light_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "gpu.json"
    done = made_measurement(always(0.01), windows=QUICK)

    def stand_in(spec: MeasurementSpec, measure: object) -> Measurement:
        if spec.backend == "tensorrt":
            raise BackendUnavailableError("TensorRT is not installed")
        return done

    monkeypatch.setattr(run, "measure_apart", stand_in)
    record = run.open_record(output, light_bundle, "cpu", "light", 1)
    assert run.measure_all(record, run.measure_side, light_bundle, output, deadline=0.0) is False  # no time at all
    assert run.measure_all(record, run.measure_side, light_bundle, output, deadline=float("inf")) is True
    again = run.open_record(output, light_bundle, "cpu", "light", 1)
    assert again == json.loads(output.read_text("utf-8"))
    (entry,) = again["points"]
    assert entry["sides"].keys() == {side_name(*side) for side in sides(HEADLINE)}
    assert entry["sides"]["tensorrt fp16"]["error"]["message"] == "TensorRT is not installed"
    monkeypatch.setattr(run, "measure_apart", None)  # nothing is left to measure
    assert run.measure_all(again, run.measure_side, light_bundle, output, deadline=float("inf")) is True
    with pytest.raises(InputError, match="taken with another preset"):
        run.open_record(output, light_bundle, "cpu", "paper", 1)


def test_what_fails_its_check_is_not_timed(light_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "gpu.json"
    timed: list[tuple[str, str]] = []

    def stand_in(spec: MeasurementSpec, measure: object) -> Measurement:
        timed.append((spec.backend, spec.precision))
        return made_measurement(always(0.01), windows=QUICK)

    def verify(bundle: Path, *, device: str, backend: str, progress: object) -> Verification:
        if backend == "tensorrt":
            raise BackendUnavailableError("TensorRT is not installed")
        checks = (
            Check("drift audio fp16 on cpu", False, "relative L2 2.0"),
            Check("drift audio fp32 on cpu", True, ""),
        )
        return Verification(checks, VerifyReport(graphs=(), corpus=()))

    monkeypatch.setattr(run, "measure_apart", stand_in)
    monkeypatch.setattr(run, "verify_bundle", verify)
    found = run.open_record(output, light_bundle, "cpu", "light", 1)
    run.verify_sides(found, light_bundle, output)
    run.measure_all(found, run.measure_side, light_bundle, output, deadline=float("inf"))
    assert not {("onnxruntime", "fp16"), ("tensorrt", "fp16")} & set(timed)
    assert {("onnxruntime", "fp32"), ("pytorch eager", "fp16")} <= set(timed)
    sides_found = json.loads(output.read_text("utf-8"))["points"][0]["sides"]
    assert sides_found["onnxruntime fp16"]["error"]["message"] == "not timed: drift audio fp16 on cpu: relative L2 2.0"
    assert "TensorRT is not installed" in sides_found["tensorrt fp16"]["error"]["message"]


def test_pytorch_that_computes_something_else_fails() -> None:
    expected = {"prediction": torch.ones(2, 6)}
    require_parity({"prediction": torch.full((2, 6), 1.001)}, expected, "fp16")
    with pytest.raises(ParityError, match="prediction: relative L2 error 1.00e"):
        require_parity({"prediction": torch.zeros(2, 6)}, expected, "fp16")


@pytest.mark.slow
def test_a_side_is_measured_in_a_process_of_its_own(
    light_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "sides", lambda point: (("pytorch eager", "fp32"), ("onnxruntime", "fp32")))
    record = run.open_record(tmp_path / "gpu.json", light_bundle, "cpu", "light", 1)
    measure = partial(run.measure_side, preset="light")
    assert run.measure_all(record, measure, light_bundle, tmp_path / "gpu.json", deadline=float("inf"))
    for name, side in record["points"][0]["sides"].items():
        assert side["error"] is None, name
        assert side["metrics"]["latency"]["p50_ms"] > 0


@pytest.mark.parametrize(("ours_ms", "gain", "above"), [(0.5, "met", "met"), (3.5, "missed", "missed")])
def test_goals_are_judged(ours_ms: float, gain: str, above: str) -> None:
    found = record({COMPILED: side(4.0), OURS: side(ours_ms)})
    text = table(found)
    assert f"{4.0 / ours_ms:.2f} x as fast as {COMPILED}, goal at least 2: {gain}" in text
    assert f"{ours_ms / 0.25:.1f} x, goal at most 3: {above}" in text
    assert f"**{4.0 / ours_ms:.1f} x**" in figure(found)


def test_the_bound_is_the_longer_of_arithmetic_and_reading() -> None:
    found = record({})
    (entry,) = found["points"]
    assert bound_ms(entry, found["ceilings"]) == pytest.approx(0.25)
    assert bound_ms(entry | {"batch": 4}, found["ceilings"]) == pytest.approx(1.0)
    assert bound_ms(entry | {"weight_bytes": 3_200_000_000}, found["ceilings"]) == pytest.approx(1.0)


def test_what_is_missing_is_named_with_its_reason() -> None:
    failed = {"metrics": None, "error": {"kind": "backend", "message": "out of memory"}}
    text = table(record({OURS: failed}))
    assert f"- {OURS}: out of memory (model audio_visual, batch 1)." in text
    assert f"- {COMPILED}: the time was up" in text
    assert figure(record({OURS: failed})) == figure(record({OURS: side(2.0)})) == ""


def test_figures_of_a_rehearsal_are_refused() -> None:
    for changes in ({"device": "cpu"}, {"preset": "light"}):
        with pytest.raises(ValueError, match="rehearsal"):
            table(record({}) | changes)


def test_entries_name_their_point() -> None:
    assert point_of(record({})["points"][0]) == HEADLINE
    assert all(backend in PYTORCH or backend in ("onnxruntime", "tensorrt") for backend, _ in sides(HEADLINE))

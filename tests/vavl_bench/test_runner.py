"""A run keeps what is finished: after every measurement, on interruption, on failure."""

import logging
from pathlib import Path

import pytest

from tests.vavl_bench.fakes import always, spec
from tests.vavl_bench.reports import made_measurement, made_report
from vavl_bench.plan import MeasurementSpec, Plan
from vavl_bench.runner import measure_apart, run_plan
from vavl_bench.scenarios import STREAMS
from vavl_bench.schema import Measurement, Report
from vavl_bench.steady_state import WindowSettings
from vavl_bench.storage import read_report, write_report
from vavl_runtime.bundle import PACKAGED_BUNDLE
from vavl_runtime.errors import BackendUnavailableError, GraphFailedError, InputError, VavlError

CELLS = [spec(batch=batch) for batch in (1, 2, 3)]


def measure(measurement: MeasurementSpec) -> Measurement:
    return made_measurement(always(0.01), batch=measurement.batch)


def plan(**changes: object) -> Plan:
    fields: dict[str, object] = {
        "bundle": PACKAGED_BUNDLE,
        "scopes": ("graph", "model", "clip"),
        "paths": ("audio_visual", "audio"),
        "graphs": ("audio", "pnet"),
        "scenarios": ("single-stream",),
        "devices": ("cpu",),
        "backends": ("auto",),
        "precisions": ("fp32", "int8"),
        "threads": None,
        "batches": (1, 4),
        "lengths_s": (1.0, 3.0),
        "clips": (Path("a.mp4"), Path("b.mp4")),
        "bound_ms": 100.0,
        "windows": WindowSettings(),
    }
    return Plan(**fields | changes)  # type: ignore[arg-type]


def test_every_cell_is_kept_as_soon_as_it_is_measured() -> None:
    kept: list[Report] = []
    report = run_plan(CELLS, made_report(finished=False), keep=kept.append, measure=measure)
    assert [len(r.measurements) for r in kept] == [1, 2, 3, 3]
    assert [r.finished for r in kept] == [False, False, False, True]
    assert report.finished


@pytest.mark.parametrize("error", [KeyboardInterrupt, BackendUnavailableError("no such device"), MemoryError])
def test_what_an_interruption_leaves_can_be_read(error: BaseException, tmp_path: Path) -> None:
    def interrupted(measurement: MeasurementSpec) -> Measurement:
        if measurement.batch == 3:
            raise error
        return measure(measurement)

    place = tmp_path / "a.json"
    with pytest.raises(error if isinstance(error, type) else type(error)):
        run_plan(
            CELLS,
            made_report(finished=False),
            keep=lambda report: write_report(report, place),
            measure=interrupted,
        )
    left = read_report(place)
    assert [measurement.key.batch for measurement in left.measurements] == [1, 2]
    assert not left.finished
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize("kind", [InputError, GraphFailedError])
def test_a_cell_that_fails_does_not_end_the_run(kind: type[VavlError], caplog: pytest.LogCaptureFixture) -> None:
    def failing(measurement: MeasurementSpec) -> Measurement:
        if measurement.batch == 2:
            raise kind("this batch is refused")
        return measure(measurement)

    caplog.set_level(logging.INFO, "vavl_bench")
    report = run_plan(CELLS, made_report(), keep=lambda _: None, measure=failing)
    assert [measurement.error is None for measurement in report.measurements] == [True, False, True]
    failed = report.measurements[1]
    assert failed.error is not None
    assert (failed.error.kind, failed.error.message, failed.key.batch) == (kind.kind, "this batch is refused", 2)
    assert caplog.messages[1:3] == [f"[2/3] {CELLS[1]}", f"failed: {kind.kind}"]
    assert "this batch is refused" not in caplog.text  # the report has the message, once


def test_errors_cross_the_process() -> None:
    with pytest.raises(InputError, match="got 60 s, expected"):
        measure_apart(spec(seconds=60.0))


def test_a_plan_holds_every_combination_once() -> None:
    measurements = list(plan().measurements())
    assert len(measurements) == len(set(measurements))
    by_scope = {scope: [c for c in measurements if c.scope == scope] for scope in ("graph", "model", "clip")}
    # Two precisions; the audio graph has two lengths and P-Net none; both have two batches.
    assert len(by_scope["graph"]) == 2 * (2 * 2 + 2)
    assert len(by_scope["model"]) == 2 * 2 * 2 * 2
    assert len(by_scope["clip"]) == 2 * 2 * 2
    assert {c.batch for c in by_scope["clip"]} == {1}
    assert all(c.seconds is None for c in measurements if c.subject == "pnet")


def test_scenarios_settle_the_batch() -> None:
    measurements = list(plan(scenarios=("multi-stream", "server", "offline")).measurements())
    batches = {s: {c.batch for c in measurements if c.scenario == s} for s in ("multi-stream", "server", "offline")}
    assert batches == {"multi-stream": {STREAMS}, "server": {1}, "offline": {1, 4}}

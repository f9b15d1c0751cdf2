"""The plan of the fifteen minutes, and steps that crash, hang or fail."""

import importlib.util
import json
import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks.gpu.__main__ import open_record
from benchmarks.gpu.apart import Context, run_steps
from benchmarks.gpu.plan import COMMANDS, HEADLINES, POINTS, STEPS, Step, chosen_steps, dry_run
from benchmarks.record import write_record


def context(place: Path) -> Context:
    return Context("cpu", "tiny", place / "structures", place / "work", False, {})


def step(function: str, limit_s: float = 60.0, expected_s: float = 0.0, needs: tuple[str, ...] = ()) -> Step:
    return Step(function, "contact", ("tests.benchmarks.gpu_steps", function, "x"), expected_s, limit_s, needs)


def run(steps: list[Step], place: Path, seconds: float = 120.0) -> dict[str, Any]:
    record: dict[str, Any] = {"steps": {}}
    run_steps(steps, context(place), record, place / "gpu.json", time.monotonic() + seconds)
    assert json.loads((place / "gpu.json").read_text("utf-8")) == record
    return record["steps"]


def test_the_dry_run_fits_its_budget_and_cuts_nothing() -> None:
    lines = dry_run(840.0).splitlines()
    assert lines[-1] == "cut: nothing"
    total = float(lines[-2].split()[0])
    assert total < 840
    for step in STEPS:
        assert sum(step.name in line for line in lines) >= 1
    for command, limit_s in COMMANDS.items():
        assert sum(step.expected_s for step in STEPS if step.command == command) <= limit_s


def test_a_short_budget_cuts_the_last_steps_first() -> None:
    cut = dry_run(700.0).splitlines()[-1]
    assert STEPS[-1].name in cut
    assert "onnxruntime fp16" not in cut


def test_every_step_has_its_function_and_its_needs_before_it() -> None:
    before: set[str] = set()
    for step in STEPS:
        module, function, _ = step.work
        spec = importlib.util.find_spec(module)
        assert spec is not None and spec.origin is not None
        assert f"\ndef {function}(context: Context, " in Path(spec.origin).read_text("utf-8")
        assert set(step.needs) <= before
        before.add(step.name)
    assert STEPS[-1].name == "torch.compile fp16"  # it is slow: never before anything else


def test_points_are_distinct_and_headlines_come_first() -> None:
    for points in POINTS.values():
        assert len(set(points)) == len(points)
        assert points[: len(HEADLINES)] == HEADLINES


def test_figures_take_along_the_checks_that_are_missing() -> None:
    names = [step.name for step in chosen_steps("figures", set())]
    assert names[:4] == ["prepare", "probe", "parity fp32", "parity fp16"]
    names = [step.name for step in chosen_steps("figures", {"probe", "parity fp32", "parity fp16", "clips"})]
    assert names[:2] == ["prepare", "onnxruntime fp16"]
    assert "clips" not in names


def test_a_crash_costs_only_its_step(tmp_path: Path) -> None:
    steps = run([step("die"), step("fail"), step("finish")], tmp_path)
    assert steps["die"]["results"] == {"before": {}}
    assert "exit code 3" in steps["die"]["error"]
    assert steps["fail"]["error"] == "RuntimeError: no kernel image is available"
    assert steps["finish"]["state"] == "done"
    assert steps["finish"]["results"] == {"answer": {"argument": "x", "preset": "tiny"}}


def test_what_hangs_is_ended_and_keeps_its_results(tmp_path: Path) -> None:
    steps = run([step("hang", limit_s=10.0), step("finish", needs=("hang",))], tmp_path)
    assert steps["hang"]["results"] == {"before": {}}
    assert "ran out of time" in steps["hang"]["error"]
    assert steps["finish"] == {"state": "failed", "results": {}, "error": "needs hang, which did not finish"}


def test_a_step_that_is_expected_to_take_too_long_is_cut(tmp_path: Path) -> None:
    assert run([step("finish", expected_s=100.0)], tmp_path, seconds=50.0)["finish"]["state"] == "cut"


def test_a_record_goes_on_only_on_the_same_machine(tmp_path: Path) -> None:
    place = tmp_path / "gpu.json"
    record = open_record(place, "cpu", "tiny")
    record["steps"]["probe"] = {"state": "done", "results": {}}
    write_record(record, place)
    assert open_record(place, "cpu", "tiny")["steps"] == record["steps"]
    assert open_record(place, "cpu", "paper")["steps"] == {}
    write_record(record | {"environment": record["environment"] | {"driver": "another"}}, place)
    assert open_record(place, "cpu", "tiny")["steps"] == {}


@pytest.mark.parametrize("command", COMMANDS)
def test_the_first_step_of_a_command_fills_the_weights(command: str) -> None:
    assert chosen_steps(command, set())[0].name == "prepare"

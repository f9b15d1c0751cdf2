"""Goals are judged by the figures, and what was missed says why."""

from typing import Any

import pytest

from benchmarks import goals

BOXES = ("every 5", "shifted", "frame before")


def boxes_record(**distances: list[float]) -> dict[str, Any]:
    named = {name: distances.get(name.replace(" ", "_"), [0.0]) for name in BOXES}
    return {"benchmark": "boxes", "clips": [{"distances": named}]}


def one_core_record(took_s: float, peak_mb: float) -> dict[str, Any]:
    films = {"a minute": (60.0, 200.0), "1920 x 1080": (10.0, peak_mb), "1 h": (3600.0, 205.0)}
    return {
        "films": {
            title: {"seconds": seconds, "took_s": took_s * seconds, "peak_mb": peak, "index_mb": 1.0}
            for title, (seconds, peak) in films.items()
        }
    }


def test_what_is_met_needs_no_bound() -> None:
    section = goals.section({"boxes": boxes_record()})
    assert "| 100% of them | met |" in section
    assert "What bounds" not in section


def test_what_is_missed_says_what_bounds_it() -> None:
    section = goals.section({"boxes": boxes_record(every_5=[0.0, 3.0], shifted=[0.0, 3.0, 3.0, 3.0])})
    assert "| 50% of them | **missed** |" in section
    assert "leaves 25% of its boxes within two pixels" in section


@pytest.mark.parametrize(
    ("took_s", "peak_mb", "met"),
    [(0.5, 250.0, [True, True, True]), (1.5, 250.0, [False, True, True]), (0.5, 350.0, [True, False, True])],
)
def test_one_core(took_s: float, peak_mb: float, met: list[bool]) -> None:
    outcomes = list(goals._one_core(one_core_record(took_s, peak_mb)))
    assert [outcome.met for outcome in outcomes] == met


def test_what_nobody_has_looked_into_says_so() -> None:
    record = {"default": 1, "seconds": {"light": {"1": [2.0], "2": [1.0]}}}
    assert "by more than 10 %.** Not looked into." in goals.section({"threads": record})


def test_a_result_that_is_missing_is_no_goal_that_was_met() -> None:
    section = goals.section({})
    assert " met |" not in section
    assert "not measured" in section


@pytest.mark.parametrize(("default", "met"), [(2, True), (1, False)])
def test_threads_are_judged_by_the_worst_bundle(default: int, met: bool) -> None:
    seconds = {"light": {"1": [1.0], "2": [1.05]}, "paper": {"1": [2.0], "2": [1.0]}}
    (outcome,) = goals._threads({"default": default, "seconds": seconds})
    assert outcome.met is met


def test_fp16_is_judged_however_it_runs() -> None:
    def row(precision: str, how: str, flips: int) -> dict[str, Any]:
        f1 = {"macro_f1": 0.5}
        same = {"precision": precision, "how": how, "flips": flips, "clips": 100, "flip_margin": 1e-5}
        return {**same, "fp32": f1, "variant": f1}

    drift = [row("fp16", "run", 1), row("fp16", "emulated", 0), row("int8", "run", 1)]
    half, quantised = goals._drift({"drift": drift, "int8": {"audio": {"reason": None}}})
    assert not half.met
    assert "1 of 100" in half.reached
    assert quantised.met

"""Goals are judged by the figures of the records."""

from typing import Any

import pytest

from benchmarks import goals


def one_core_record(took_s: float, peak_mb: float) -> dict[str, Any]:
    films = {"a minute": (60.0, 200.0), "1920 x 1080": (10.0, peak_mb), "1 h": (3600.0, 205.0)}
    return {
        "films": {
            title: {"seconds": seconds, "took_s": took_s * seconds, "peak_mb": peak, "index_mb": 1.0}
            for title, (seconds, peak) in films.items()
        }
    }


@pytest.mark.parametrize(
    ("took_s", "peak_mb", "met"),
    [(0.5, 250.0, [True, True, True]), (1.5, 250.0, [False, True, True]), (0.5, 350.0, [True, False, True])],
)
def test_one_core(took_s: float, peak_mb: float, met: list[bool]) -> None:
    record = one_core_record(took_s, peak_mb)
    assert [reached for _, _, reached in goals._one_core(record)] == met
    section = goals.section({"one_core": record})
    assert section.count("**missed**") == met.count(False)
    assert section.count("| met |") == met.count(True)


def test_a_record_that_is_missing_is_no_goal_that_was_met() -> None:
    section = goals.section({})
    assert " met |" not in section
    assert "not measured" in section


@pytest.mark.parametrize(("ratio", "met"), [(1.4, True), (1.6, False)])
def test_startup_shows_what_the_imports_alone_would_take(ratio: float, met: bool) -> None:
    record = {"ratio": {"median": ratio}, "median": {"libraries": 0.3, "inference": 0.6}}
    ((_, reached, judged),) = goals._startup(record)
    assert judged is met
    assert f"{ratio:.2f} x; 1.50 x with nothing but the imports" in reached


def test_fp16_is_judged_however_it_runs() -> None:
    def row(precision: str, how: str, flips: int) -> dict[str, Any]:
        f1 = {"macro_f1": 0.5}
        same = {"precision": precision, "how": how, "flips": flips, "clips": 100, "flip_margin": 1e-5}
        return {**same, "fp32": f1, "variant": f1}

    drift = [row("fp16", "run", 1), row("fp16", "emulated", 0), row("int8", "run", 1)]
    half, quantised = goals._drift({"drift": drift, "int8": {"audio": {"reason": None}}})
    assert not half[2]
    assert "1 of 100" in half[1] and "led by 1e-05" in half[1]
    assert quantised[2]
    assert "taken by `--precision auto`: audio" in quantised[1]


@pytest.mark.parametrize("gain", [1.5, 1.7])
def test_an_encoder_that_stays_float32_misses_the_goal_of_int8(gain: float) -> None:
    def case(graph: str, lowered: list[str]) -> dict[str, Any]:
        times = {side: {"median": 1.0} for side in (goals.OURS, *goals.PEERS)}
        advantage = {side: {"of_medians": 1.0} for side in goals.PEERS} | {
            f"{goals.OURS} int8": {"of_medians": 1 / gain}
        }
        named = {"preset": "paper", "graph": graph, "seconds": None, "batch": 1, "lowered": lowered}
        return {**named, "time_s": times, "advantage": advantage}

    cases = [case("audio_encoder", ["int8"])]
    record = {"cases": cases, "stays_float32": {}}
    *_, (_, _, met) = goals._graphs(record)
    assert met is (gain >= 1.6)
    kept = {"cases": [*cases, case("face_encoder", [])], "stays_float32": {"paper face_encoder": "drifts"}}
    *_, (_, reached, met) = goals._graphs(kept)
    assert not met
    assert "paper face_encoder drifts" in reached

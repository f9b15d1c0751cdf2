"""What a GPU's record becomes: goals met, missed or not measured, and the table of what was executed."""

from typing import Any

import pytest

from benchmarks.gpu.plan import HEADLINES, Point
from benchmarks.gpu.tables import CAPTURED, COMPILED, OURS, bound_ms, executed, figure, goals, operations, table

FP16 = OURS[1]
WORK = {
    "audio_encoder": {"weights": 100_000_000, "3": 60_000_000_000, "1": 20_000_000_000},
    "audio": {"weights": 10_000_000, "3": 10_000_000_000, "1": 4_000_000_000},
    "face_encoder": {"weights": 8_000_000, "3": 1_000_000_000, "1": 1_000_000_000},
    "visual": {"weights": 10_000_000, "3": 5_000_000_000, "1": 2_000_000_000},
    "audio_visual": {"weights": 20_000_000, "3": 15_000_000_000, "1": 5_000_000_000},
}
CEILINGS = {"copy_bytes_per_s": 3e12, "product_operations_per_s": 8e14}


def timed(p50_ms: float, batch: int = 1) -> dict[str, Any]:
    missing = {"value": None, "reason": "no"}
    return {
        "latency": {"p50_ms": p50_ms, "p95_ms": p50_ms, "p99_ms": p50_ms},
        "clips_per_s": 1000 * batch / p50_ms,
        "steady": True,
        "energy": {"per_clip_j": missing, "idle_w": missing},
        "memory": {"device_mib": {"value": 900.0, "reason": None}},
        "launches": {"kernels": 500, "copies": 3},
    }


def record(**sides: dict[str, Any]) -> dict[str, Any]:
    """A record of an H100 with some sides; underscores of their names stand for spaces."""
    steps = {name.replace("__", " "): {"state": "done", "results": results} for name, results in sides.items()}
    machine = {"machine": {"state": "done", "results": {"ceilings": CEILINGS}}}
    prepared = {"prepare": {"state": "done", "results": {"work": WORK}}}
    environment = {"gpu": "GPU X", "driver": "1.2", "torch": "2.11", "onnxruntime-gpu": "1.30"}
    return {
        "command": "python -m benchmarks.gpu",
        "device": "cuda:0",
        "preset": "paper",
        "date": "2026-12-01",
        "environment": environment,
        "steps": machine | prepared | steps,
    }


def points(ms: dict[Point, float]) -> dict[str, Any]:
    return {str(point): timed(time, point.batch) for point, time in ms.items()}


def verdicts(found: dict[str, Any] | None) -> list[bool | None]:
    return [met for _, _, met in goals(found)]


def test_without_a_gpu_no_goal_is_met_or_missed() -> None:
    assert set(verdicts(None)) == {None}
    assert "not executed on any GPU" in executed([])


@pytest.mark.parametrize(("ours", "met"), [(0.3, True), (3.8, False)])
def test_goals_are_judged_from_the_figures(ours: float, met: bool) -> None:
    peers = {point: 3.75 for point in HEADLINES}
    many = {"clips": 96, "jobs": 16, "clips_per_s": 26.0 if met else 24.0, "failed": 0, "backend": ""}
    large = {Point("model", "audio", batch=64): 64 * 70e9 / (0.7 if met else 0.5) / 8e14 * 1000}
    found = record(onnxruntime__fp16=points({point: ours for point in HEADLINES} | large), clips={"many": many})
    for peer in (COMPILED, CAPTURED):
        found["steps"][peer] = {"state": "done", "results": points(peers)}
    assert verdicts(found) == [met] * len(goals(None))


def test_missing_figures_are_not_measured() -> None:
    found = record(onnxruntime__fp16={str(HEADLINES[0]): {"error": "not timed: audio: no kernel image"}})
    assert set(verdicts(found)) == {None}
    text = table(found)
    assert f"- onnxruntime fp16, {HEADLINES[0]}: not timed: audio: no kernel image" in text
    assert "- torch.compile fp16: the time was up" in text
    assert figure(found) == ""


def test_clips_that_failed_are_no_rate() -> None:
    many = {"clips": 96, "jobs": 16, "clips_per_s": 99.0, "failed": 1, "backend": ""}
    assert goals(record(clips={"many": many}))[-1][1:] == ("1 clips failed", None)


def test_the_bound_is_the_longer_of_arithmetic_and_reading() -> None:
    assert operations(WORK, HEADLINES[0]) == 70_000_000_000
    assert operations(WORK, HEADLINES[1]) == 80_000_000_000  # 75 faces
    assert operations(WORK, Point("graph", "face_encoder", batch=75)) == 75_000_000_000
    assert bound_ms(WORK, CEILINGS, HEADLINES[0]) == pytest.approx(0.0875)
    assert bound_ms(WORK, CEILINGS | {"copy_bytes_per_s": 1e12}, HEADLINES[0]) == pytest.approx(0.22)


def test_the_table_says_what_ran_where_and_what_was_wrong() -> None:
    found = record(
        parity__fp32={"audio": {"worst": 1e-6}, "visual_fused": {"error": "far off"}, "backend": {"text": ""}}
    )
    text = executed([found])
    assert "| GPU X | 2026-12-01 | 1.2 | onnxruntime-gpu 1.30, torch 2.11 | 1 of 2 right; wrong: visual_fused |" in text
    assert text.count("not executed on any GPU") == executed([]).count("not executed on any GPU") - 1


def test_the_front_page_names_both_sides() -> None:
    both = HEADLINES[2]
    found = record(onnxruntime__fp16=points({both: 2.0}))
    found["steps"][CAPTURED] = {"state": "done", "results": points({both: 5.0})}
    assert "2.00 ms (onnxruntime fp16), against 5.00 ms for pytorch CUDA graph fp16: **2.5 x**" in figure(found)
    text = table(found)
    assert "| model audio_visual, 3 s, batch 1 | 2.00 / 2.00 / 2.00 (500) | 5.00 / 5.00 / 5.00 (200) |" in text
    assert "| 500 | 3 | 900 | - |" in text


@pytest.mark.parametrize("changes", [{"device": "cpu"}, {"preset": "tiny"}])
@pytest.mark.parametrize("write", [table, figure, lambda found: executed([found])])
def test_figures_of_a_rehearsal_are_refused(write: Any, changes: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="rehearsal"):
        write(record(probe={"onet": {}}) | changes)

"""The section on the GPU: figures, goals and gaps come from the record, whatever is missing."""

import pytest

from benchmarks.gpu.plan import points
from benchmarks.gpu.tables import COMPILED, HEADLINE, figure, table
from tests.benchmarks.gpu_record import all_cells, entry, measured, record

OURS = "ONNX Runtime CUDA graph fp16"


@pytest.mark.parametrize(("ours_ms", "gain", "above"), [(2.0, "held", "held"), (3.5, "missed", "missed")])
def test_goals_are_judged(ours_ms: float, gain: str, above: str) -> None:
    text = table(record(entry(HEADLINE, [measured(COMPILED, 4.0, 200), measured(OURS, ours_ms, 500)])))
    assert f"{4.0 / ours_ms:.2f} x as fast as {COMPILED}, goal at least 2: {gain}" in text
    assert f"{ours_ms:.1f} x, goal at most 3: {above}" in text


def test_throughput_is_a_share_of_the_matrix_product() -> None:
    # 250 clips/s of 200 GFLOP are 50 TFLOP/s, a sixteenth of 800.
    text = table(record(entry(HEADLINE, [measured(OURS, 4.0, 250)])))
    assert "6% of the matrix product's rate, goal at least 60%: missed" in text


def test_fastest_comes_first() -> None:
    cells = [measured(COMPILED, 4.0, 250), measured(OURS, 1.5, 700), measured("PyTorch eager fp16", 9.0, 100)]
    lines = [line for line in table(record(entry(HEADLINE, cells))).splitlines() if "GPU" not in line]
    rows = [line for line in lines if line.startswith(("| ONNX", "| torch", "| PyTorch"))]
    assert [row.split(" | ")[1] for row in rows] == ["1.500", "4.000", "9.000"]


def test_what_is_too_far_off_counts_for_no_goal() -> None:
    wrong = measured("ONNX Runtime fp16", 0.1, 9000) | {"parity": 9e-3}
    text = table(record(entry(HEADLINE, [measured(COMPILED, 4.0, 200), measured(OURS, 2.0, 500), wrong])))
    assert "| 9e-03, too large |" in text
    assert f"fastest of ours ({OURS}): 2.00 x" in text


def test_what_is_missing_is_named_with_its_reason() -> None:
    failed = {"engine": OURS, "status": "failed", "reason": "RuntimeError: out of memory"}
    absent = {"engine": "TensorRT CUDA graph fp16", "status": "not measured", "reason": "no module tensorrt"}
    text = table(record(entry(HEADLINE, [failed, absent])))
    assert f"* {OURS}: RuntimeError: out of memory ({HEADLINE})." in text
    assert f"* TensorRT CUDA graph fp16: no module tensorrt ({HEADLINE})." in text
    assert f"* {COMPILED}: the time was up ({HEADLINE})." in text
    assert f"and {len(points()) - 2} more" in text
    assert "not measured" in text and "| RuntimeError" not in text


def test_nothing_is_missing_from_a_complete_record() -> None:
    complete = record(*(entry(point, all_cells(point)) for point in points()))
    text = table(complete)
    assert "Everything planned was measured." in text
    assert text.count("\n| ") >= len(points())
    assert f"**1.0 x**; 4.0 x the roofline. `{complete['command']}`" in figure(complete)


def test_without_the_headline_the_readme_says_nothing() -> None:
    assert figure(record()) == ""
    assert figure(record(entry(HEADLINE, [measured(OURS, 2.0, 300)]))) == ""


def test_figures_of_a_dry_run_are_refused() -> None:
    with pytest.raises(ValueError, match="dry run"):
        table(record() | {"tiny": True})

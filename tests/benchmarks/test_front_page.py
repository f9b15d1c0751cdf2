"""The README's tables of speed and accuracy come from JSON, and from nothing else."""

from typing import Any

import pytest

from benchmarks.clip_table import figure
from benchmarks.front_page import EVALUATION, accuracy, filled, speed
from vavl.evaluation.report import EvaluationReport


def _record(**medians: float) -> dict[str, Any]:
    names = {"pytorch": "pytorch", "ours": "vavl_runtime", "int8": "vavl_runtime, int8"}
    whole = {names[name]: {"median": median} for name, median in medians.items()}
    gains = {
        ours: {peer: {"of_medians": whole[peer]["median"] / whole[ours]["median"]} for peer in whole if peer != ours}
        for ours in whole
        if ours.startswith("vavl")
    }
    return {
        "clip": {"seconds": 2.0},
        "environment": {"threads": 3, "processor": "Some CPU"},
        "whole": whole,
        "advantage": gains,
        "command": "python -m something",
    }


def test_speed_gives_every_side_that_was_measured_and_the_gain_over_peers() -> None:
    table = figure(_record(pytorch=6.0, ours=3.0, int8=1.5))
    assert "| PyTorch eager (facenet-pytorch, timm, transformers) | 6.0 s | 2.0 x | 4.0 x |" in table
    assert "| **VAVL Edge, fp32** | 3.0 s |  |  |" in table
    assert "torch.compile" not in table
    assert "`python -m something`" in table and "3 threads" in table


def test_speed_without_int8_has_one_column_of_gains() -> None:
    assert "| 6.0 s | 2.0 x |\n" in figure(_record(pytorch=6.0, ours=3.0))


def test_speed_leaves_out_benchmarks_that_were_not_run() -> None:
    assert speed({"clip_cpu": _record(pytorch=6.0, ours=3.0)}).count("Measured by") == 1
    assert speed({}) == ""


def test_accuracy_gives_every_path_of_the_report() -> None:
    report = EvaluationReport.read(EVALUATION)
    lines = accuracy(report).splitlines()
    for line, path in zip(lines[-3:], ("audio_visual", "audio", "visual"), strict=True):
        assert f"{report.summary[path]['macro_f1'].mean:.2f} ±" in line
        assert line.endswith(f"| {report.summary[path]['micro_f1'].mean:.2f} |")


def test_a_table_replaces_what_stood_between_its_comments() -> None:
    text = "before\n<!-- speed: python -m benchmarks.front_page -->\nold\n<!-- end of speed -->\nafter\n"
    new = filled(text, {"speed": "a | \\1 | table"})
    assert new == text.replace("old", "a | \\1 | table")
    assert filled(new, {"speed": "a | \\1 | table"}) == new


def test_a_page_without_the_comments_is_an_error() -> None:
    with pytest.raises(ValueError, match="got no <!-- accuracy"):
        filled("no comments", {"accuracy": "table"})

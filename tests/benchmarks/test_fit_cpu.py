"""The benchmark of training runs, trains the same clips in every variant, and its table can be printed."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import fit_cpu
from vavl.config import light_config

CLIPS = 14


@pytest.fixture
def material(tmp_path: Path) -> fit_cpu.Material:
    """A few random clips."""
    return fit_cpu.Material(tmp_path, light_config(), CLIPS)


def test_files_and_cache_hold_the_same(material: fit_cpu.Material) -> None:
    for cached, clip in zip(material.features().examples, material.corpus.clips, strict=True):
        read = material.read(clip)
        assert read.clip == cached.clip
        for name in ("audio", "visual"):
            np.testing.assert_array_equal(getattr(read.features, name), getattr(cached.features, name))
        np.testing.assert_array_equal(read.target, cached.target)


@pytest.mark.slow
def test_record_and_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "fit_cpu.json"
    options = ("--clips", str(CLIPS), "--repeats", "2", "--threads", "1", "-o", str(output))
    monkeypatch.setattr(sys, "argv", ["fit_cpu", *options])
    assert fit_cpu.main() == 0
    record = json.loads(output.read_text("utf-8"))
    for name, rounds in record["rounds"].items():
        assert len(rounds) == 2
        assert 0.0 < min(rounds) <= record["clips_per_second"][name] <= max(rounds)
    for gain in record["gain"].values():
        assert gain["least"] <= gain["largest"]
    table, figure = fit_cpu.table(record), fit_cpu.figure(record)
    for text in (table, figure):
        assert f"{record['clips_per_second']['fit']:.0f}" in text
        assert record["command"] in text
    assert table.count("\n| ") == 1 + len(record["rounds"])

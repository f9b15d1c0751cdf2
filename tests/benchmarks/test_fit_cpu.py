"""The benchmark of training runs, trains the same clips in every variant, and its table can be printed."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import fit_cpu, tables
from vavl.config import light_config
from vavl.systems.batch import Batch, Sequences

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


def _values(batch: Batch) -> list[torch.Tensor]:
    def of(sequences: Sequences | None) -> list[torch.Tensor]:
        assert sequences is not None
        return [sequences.features, sequences.lengths, sequences.rows]

    return [*of(batch.audio), *of(batch.visual), batch.target]


def test_batches_in_memory_are_those_of_the_cache(material: fit_cpu.Material) -> None:
    cached, prepared = material.features(), material.features()
    prepared.in_memory = []
    for _ in range(2):
        made, kept = list(cached.shuffled(2, 0)), list(prepared.shuffled(2, 0))
        assert sum(map(len, made)) == CLIPS
        for ours, theirs in zip(made, kept, strict=True):
            assert all(torch.equal(a, b) for a, b in zip(_values(ours), _values(theirs), strict=True))
    assert prepared.in_memory is not None
    assert all(a is b for a, b in zip(prepared.in_memory, kept, strict=True))
    assert 0.0 < cached.loading_seconds <= cached.seconds


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
    assert 0.0 < record["loading_share"] < 1.0
    table, figure = (make(record) for make in tables.TABLES[record["benchmark"]])
    for text in (table, figure):
        assert f"{record['clips_per_second']['fit']:.0f}" in text
        assert record["command"] in text
    assert table.count("\n| ") == 1 + len(record["rounds"])

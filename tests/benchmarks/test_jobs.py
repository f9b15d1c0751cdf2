"""The study of several processes against one, on short sounds."""

import json
from pathlib import Path

import pytest

from benchmarks.studies import jobs
from tests.runtime.made_media import pcm16, tone, write_wav


@pytest.mark.slow
def test_all_sides_are_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = write_wav(tmp_path / "tone.wav", pcm16(tone(2.0)))
    output = tmp_path / "jobs.json"
    monkeypatch.setattr("sys.argv", ["jobs", str(clip), "--clips", "8", "--rounds", "2", "-o", str(output)])
    assert jobs.main() == 0
    record = json.loads(output.read_text())
    assert (record["clips"], record["seconds"], len(record["rounds"])) == (8, 2.0, 2)
    assert list(record["sides"]) == list(record["rounds"][0])
    assert record["sides"]["one process"]["ratio"] == 1.0
    table = jobs.table(record)
    for name, side in record["sides"].items():
        assert 0 < side["median"] <= side["best"]
        assert f"| {name} | {side['median']:.2f} | {side['best']:.2f} | {side['ratio']:.2f} |" in table


def test_the_first_clips_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([10.0, 11.0, 11.5, 12.0, 13.0])
    monkeypatch.setattr(jobs.time, "perf_counter", lambda: next(times))
    assert jobs.rate("abcde", 2) == pytest.approx(3 / 2.0)

"""The benchmark of the command line's own cost, on the packaged bundle."""

import json
from pathlib import Path

import pytest

from benchmarks.studies import startup


@pytest.mark.slow
def test_the_parts_lie_within_the_whole(example_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "startup.json"
    monkeypatch.setattr("sys.argv", ["startup", str(example_clip), "--rounds", "2", "-o", str(output)])
    assert startup.main() == 0
    record = json.loads(output.read_text())
    for taken in record["rounds"]:
        assert 0 < taken["load"] < taken["inference"] < taken["whole"]
        assert taken["clip"] == pytest.approx(3.2, abs=0.1)
    assert 1 < record["ratio"]["least"] <= record["ratio"]["median"] <= record["ratio"]["largest"]
    table = startup.table(record)
    assert f"| {record['ratio']['median']:.2f} (" in table
    assert "2 processes" in table


def test_a_failing_command_is_no_measurement(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="ended with exit code 3"):
        startup.start(tmp_path / "missing.mp4")

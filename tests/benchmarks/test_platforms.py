"""The record of platforms: rows are kept by platform, compared with the first, and shown."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import platforms
from benchmarks.platform_rows import Row, page

SCORES = {path: {"sad": 0.6, "happy": 0.4} for path in ("audio", "visual", "audio_visual")}
FLIPPED = SCORES | {"visual": {"sad": 0.4, "happy": 0.6}}
ROW = Row("run", "Linux", "x86_64", "3.12.1", "1.30.0", "2026-01-02", {"audio": 1e-6}, SCORES, SCORES)


def test_a_row_agrees_with_itself() -> None:
    assert platforms.agrees(ROW, ROW)


@pytest.mark.parametrize(
    "change",
    [
        {"golden": {"audio": 1e-6, "pnet": 1e-3}},
        {"arrays": SCORES | {"audio": {"sad": 0.59, "happy": 0.41}}},
        {"file": FLIPPED},
    ],
)
def test_each_kind_of_difference_counts(change: dict[str, object]) -> None:
    assert not platforms.agrees(replace(ROW, **change), ROW)  # type: ignore[arg-type]


def test_the_page_shows_rows_and_differences() -> None:
    other = replace(ROW, how="emulated", machine="aarch64", file=FLIPPED)
    text = page({"rows": [ROW.to_dict(), other.to_dict()]})
    first, second = (line for line in text.splitlines() if line.startswith("| Linux |"))
    assert "| run |" in first and "audio sad" in first
    assert "| emulated |" in second and "visual happy" in second and second.endswith("| 1e-06 | 0 | 0.2 |")


def test_answers_of_another_bundle_are_not_compared() -> None:
    text = page({"rows": [ROW.to_dict(), replace(ROW, machine="aarch64", file=FLIPPED, bundle="older").to_dict()]})
    assert next(line for line in text.splitlines() if "aarch64" in line and line.startswith("| Linux |")).endswith(
        "| 1e-06 | another bundle | another bundle |"
    )


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A file with a row, and a check that answers with what lies beside it."""
    monkeypatch.setattr(platforms, "run_check", lambda python, how, system: replace(ROW, how=how, date="2026-03-04"))
    monkeypatch.setattr(sys, "argv", ["platforms", "-o", str(tmp_path / "platforms.json")])
    (tmp_path / "platforms.json").write_text(json.dumps({"rows": [ROW.to_dict()]}))
    return tmp_path / "platforms.json"


def test_a_platform_has_one_row(answered: Path) -> None:
    assert platforms.main() == 0
    assert [row.date for row in platforms.read_rows(answered)] == ["2026-03-04"]


def test_another_platform_is_added(answered: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [*sys.argv, "--how", "imitated"])
    assert platforms.main() == 0
    assert [row.how for row in platforms.read_rows(answered)] == ["run", "imitated"]


def test_what_fails_says_why(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho no such module >&2\nexit 3\n")
    python.chmod(0o755)
    with pytest.raises(RuntimeError, match="ended with 3: no such module"):
        platforms.run_check(str(python), "run", None)

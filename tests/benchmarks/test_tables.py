"""The generated page: its sections, its order, and commands that exist."""

import importlib.util
import json
import re
import sys
from pathlib import Path

import pytest

from benchmarks import tables
from benchmarks.record import RESULTS


def test_every_record_has_a_section_and_every_command_is_a_program_that_exists() -> None:
    records = {path.stem: json.loads(path.read_text("utf-8")) for path in RESULTS.glob("*.json")}
    del records["platforms"]  # has a page of its own, see test_platforms
    assert records.keys() <= tables.SECTIONS.keys()
    for name, record in records.items():
        assert record["benchmark"] == name
        (module,) = re.findall(r"^python -m ([\w.]+)", record["command"])
        assert importlib.util.find_spec(module) is not None
        assert f"`{record['command']}`" in tables.SECTIONS[name](record)


def test_the_page_begins_with_the_packaged_bundle_and_ends_with_the_goals() -> None:
    text = tables.pages()[tables.PAGE]
    headings = re.findall(r"^## (.*)", text, re.MULTILINE)
    assert headings[0] == "The packaged bundle on one core"
    assert headings[-1] == "Goals"


def test_a_page_needs_no_record() -> None:
    assert re.findall(r"^## (.*)", tables.page({}), re.MULTILINE) == ["Goals"]


def test_an_edited_page_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    monkeypatch.setattr(tables, "pages", lambda: {page: "text"})

    def run(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["tables", *arguments])
        return tables.main()

    assert run("--check") == 1
    assert run() == run("--check") == 0
    page.write_text("edited", "utf-8")
    assert run("--check") == 1
    assert "page.md is not what benchmarks/results gives; run python -m benchmarks.tables" in capsys.readouterr().err

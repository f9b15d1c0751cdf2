"""Examples in docstrings run as they stand there, in a folder that looks like the root of the repository."""

import doctest
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

PACKAGES = {"vavl_runtime": "runtime", "vavl_bench": "benchmarks", "vavl": ".", "vavl_export": "export"}
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


SLOW = {"vavl_export.bundle_writer"}  # exports a bundle


def modules_with_examples() -> Iterator[object]:
    """The modules that have an example, found by their text so that nothing is imported before its test."""
    for package, place in PACKAGES.items():
        root = ROOT / place
        for file in sorted((root / package).rglob("*.py")):
            if ">>> " in file.read_text("utf-8"):
                parts = file.relative_to(root).with_suffix("").parts
                name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
                yield pytest.param(name, marks=pytest.mark.slow if name in SLOW else ())


@pytest.mark.parametrize("name", modules_with_examples())
def test_examples_of_a_module(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for entry in ROOT.iterdir():
        (tmp_path / entry.name).symlink_to(entry)
    monkeypatch.chdir(tmp_path)  # what an example writes does not stay in the repository
    found = doctest.testmod(importlib.import_module(name), optionflags=OPTIONS)
    assert found.attempted > 0, "an example that is in no docstring does not run"
    assert found.failed == 0, "see the captured output"


def test_a_wrong_example_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "module").mkdir()
    (tmp_path / "module" / "with_a_wrong_example.py").write_text('"""One.\n\n>>> 1 + 1\n3\n"""\n')
    monkeypatch.syspath_prepend(str(tmp_path / "module"))
    with pytest.raises(AssertionError, match="captured output"):
        test_examples_of_a_module("with_a_wrong_example", tmp_path, monkeypatch)

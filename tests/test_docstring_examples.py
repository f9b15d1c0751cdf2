"""Examples in docstrings run as they stand there, from the root of the repository."""

import doctest
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

PACKAGES = {"vavl_runtime": "runtime", "vavl_bench": "benchmarks", "vavl": ".", "vavl_export": "export"}
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def modules_with_examples() -> Iterator[str]:
    """Names of the modules that have an example, read as text so that nothing is imported before its test."""
    for package, place in PACKAGES.items():
        root = ROOT / place
        for file in sorted((root / package).rglob("*.py")):
            if ">>> " in file.read_text("utf-8"):
                parts = file.relative_to(root).with_suffix("").parts
                yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@pytest.mark.parametrize("name", modules_with_examples())
def test_examples_of_a_module(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    found = doctest.testmod(importlib.import_module(name), optionflags=OPTIONS)
    assert found.attempted > 0, "an example that is in no docstring does not run"
    assert found.failed == 0, "see the captured output"


def test_a_wrong_example_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "with_a_wrong_example.py").write_text('"""One.\n\n>>> 1 + 1\n3\n"""\n')
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(AssertionError, match="captured output"):
        test_examples_of_a_module("with_a_wrong_example", monkeypatch)

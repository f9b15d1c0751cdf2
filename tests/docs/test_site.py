"""The documentation site: every public name has an entry, every command a page."""

import importlib.util
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).parent.parent.parent / "docs"


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("package", ["vavl_runtime", "vavl_export", "vavl"])
def test_every_public_name_has_one_entry(package: str) -> None:
    text = (DOCS / "api" / f"{package}.md").read_text("utf-8")
    filled = _load(DOCS / "api" / "public_names.py").on_page_markdown(text)
    entries = [line.removeprefix(f"::: {package}.") for line in filled.splitlines() if line.startswith(":::")]
    public = [name for name in import_module(package).__all__ if not name.startswith("_")]
    assert sorted(entries) == sorted(public)


def test_every_installed_command_has_a_page() -> None:
    tomllib = pytest.importorskip("tomllib", reason="reads pyproject.toml: Python 3.11 and newer")
    scripts = tomllib.loads((DOCS.parent / "pyproject.toml").read_text("utf-8"))["project"]["scripts"]
    generate = _load(DOCS / "commands" / "generate.py")
    assert sorted(generate.COMMANDS) == sorted(scripts)
    assert {path.stem for path in (DOCS / "commands").glob("*.md")} == set(scripts)


def test_every_page_of_a_command_names_its_options() -> None:
    page = (DOCS / "commands" / "vavl-run.md").read_text("utf-8")
    for option in ("--bundle", "--audio-only", "--device", "--precision", "`json`"):
        assert option in page

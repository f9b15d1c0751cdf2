"""The files around the code agree with each other: version, extras, targets, workflow, templates."""

import re
from pathlib import Path
from typing import Any

import pytest

from vavl_runtime import __version__

ROOT = Path(__file__).parent.parent.parent


def _project() -> dict[str, Any]:
    tomllib = pytest.importorskip("tomllib", reason="reads pyproject.toml: Python 3.11 and newer")
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return project


def test_citation_and_changelog_name_the_version() -> None:
    assert f"\nversion: {__version__}\n" in (ROOT / "CITATION.cff").read_text("utf-8")
    assert f"\n## [{__version__}] - " in (ROOT / "CHANGELOG.md").read_text("utf-8")


@pytest.mark.parametrize(
    "page", ["README.md", "docs/install.md", "docs/tutorials/train.md", "docs/tutorials/export.md"]
)
def test_every_extra_in_an_install_line_exists(page: str) -> None:
    known = set(_project()["optional-dependencies"])
    named = re.findall(r'pip install "[^"\[]*\[([\w,-]+)\]', (ROOT / page).read_text("utf-8"))
    assert named
    assert {extra for group in named for extra in group.split(",")} <= known


def test_every_extra_is_explained() -> None:
    page = (ROOT / "docs" / "install.md").read_text("utf-8")
    assert [extra for extra in _project()["optional-dependencies"] if f"`{extra}`" not in page] == []


def test_every_target_of_make_is_explained() -> None:
    text = (ROOT / "Makefile").read_text("utf-8")
    phony = re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    assert phony is not None
    for target in phony[1].split():
        assert re.search(rf"^{target}:[^#\n]*## \w", text, re.MULTILINE), target


def test_workflow_and_templates_are_valid_yaml() -> None:
    yaml = pytest.importorskip("yaml", reason="PyYAML comes with the extra docs")
    files = [ROOT / ".pre-commit-config.yaml", *sorted((ROOT / ".github").rglob("*.yml"))]
    assert len(files) > 4
    for path in files:
        assert yaml.safe_load(path.read_text("utf-8")), path
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8"))
    steps = [step.get("run") for job in workflow["jobs"].values() for step in job["steps"]]
    assert ".ci/run" in steps
    assert "make audit" in steps


def test_pictures_of_the_readme_exist() -> None:
    pictures = re.findall(r"!\[[^\]]*\]\((?!https)([^)]+)\)", (ROOT / "README.md").read_text("utf-8"))
    assert pictures
    assert [name for name in pictures if not (ROOT / name).is_file()] == []


def test_links_of_the_readme_exist() -> None:
    links = re.findall(r"\]\((?!https|#)([^)#]+)", (ROOT / "README.md").read_text("utf-8"))
    assert [link for link in links if not (ROOT / link).exists()] == []

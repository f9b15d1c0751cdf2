"""pyproject.toml bounds every dependency from above, and the lock file of development is made from it."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent.parent
LOCK = ROOT / "requirements" / "dev.lock"
OURS = "vavl-edge"
MACHINES = [
    {"python_version": python, "python_full_version": f"{python}.9", "sys_platform": system, "platform_machine": cpu}
    for python in ("3.10", "3.11", "3.12", "3.13")
    for system, cpu in (("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64"), ("win32", "AMD64"))
]


@pytest.fixture(scope="module")
def pyproject() -> dict[str, Any]:
    tomllib = pytest.importorskip("tomllib", reason="reads pyproject.toml: Python 3.11 and newer")
    content: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    return content


@pytest.fixture(scope="module")
def locked() -> list[Requirement]:
    return [Requirement(line.rstrip(" \\")) for line in LOCK.read_text("utf-8").splitlines() if re.match(r"\w", line)]


def _named(pyproject: dict[str, Any], *extras: str, machine: dict[str, str] | None = None) -> Iterator[Requirement]:
    """The base requirements and those of extras, with the extras that they name; on one machine or on all."""
    project = pyproject["project"]
    texts = [*project["dependencies"], *(text for extra in extras for text in project["optional-dependencies"][extra])]
    for requirement in map(Requirement, texts):
        if machine and not _applies(requirement, machine):
            continue
        if requirement.name == OURS:
            yield from _named(pyproject, *requirement.extras, machine=machine)
        else:
            yield requirement


def _applies(requirement: Requirement, machine: dict[str, str]) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({**machine, "extra": ""})


def test_every_requirement_ends_before_a_version(pyproject: dict[str, Any]) -> None:
    """So that a new major version of somebody else's does not break an installation of ours."""
    everything = [*_named(pyproject, *pyproject["project"]["optional-dependencies"])]
    everything += map(Requirement, pyproject["build-system"]["requires"])
    open_ended = [
        str(one) for one in everything if not any(part.operator in ("<", "<=", "==", "~=") for part in one.specifier)
    ]
    assert open_ended == []


def test_hooks_end_before_a_version_too() -> None:
    yaml = pytest.importorskip("yaml", reason="PyYAML comes with the extra docs")
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))["repos"][0]["hooks"]
    named = [Requirement(text) for hook in hooks for text in hook.get("additional_dependencies", [])]
    assert named
    assert [str(one) for one in named if "<" not in str(one.specifier)] == []


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: "-".join(machine.values()))
def test_the_lock_has_one_allowed_version_of_each(
    machine: dict[str, str], pyproject: dict[str, Any], locked: list[Requirement]
) -> None:
    for wanted in _named(pyproject, "dev", machine=machine):
        name = canonicalize_name(wanted.name)
        found = [one for one in locked if one.name == name and _applies(one, machine)]
        assert len(found) == 1, f"{wanted}: {len(found)} versions in requirements/dev.lock; run `make lock`"
        (pinned,) = found[0].specifier
        assert pinned.operator == "==" and wanted.specifier.contains(pinned.version), f"{wanted}: {found[0]}"


def test_the_lock_keeps_nothing_that_is_no_longer_required(pyproject: dict[str, Any]) -> None:
    """The comments name who wants a package: those that we want are those of pyproject.toml."""
    wanted = {canonicalize_name(one.name) for one in _named(pyproject, "dev")}
    blocks = re.split(r"^(?=\w)", LOCK.read_text("utf-8"), flags=re.MULTILINE)[1:]
    assert {block.split("==")[0] for block in blocks if f" {OURS} (pyproject.toml)" in block} == wanted


def test_the_lock_has_hashes_and_names_no_place() -> None:
    text = LOCK.read_text("utf-8")
    blocks = re.split(r"^(?=\w)", text, flags=re.MULTILINE)[1:]
    assert [block for block in blocks if "--hash=sha256:" not in block] == []
    assert not re.search(r"://|--(extra-)?index|--find-links|--trusted-host|^/| /|@", text, re.MULTILINE)


def test_make_installs_the_lock() -> None:
    recipe = (ROOT / "Makefile").read_text("utf-8").split("\n$(DEV):")[1].split("\n\n")[0]
    assert "--require-hashes --requirement requirements/dev.lock" in recipe
    assert "--no-deps --no-build-isolation --editable ." in recipe

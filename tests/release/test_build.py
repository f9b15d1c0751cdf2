"""``make dist`` builds a commit: the same bytes from any checkout, and nothing that is not committed."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("cyclonedx", reason="comes with the extra dev")
pytest.importorskip("hatchling", reason="comes with the extra dev")
pytest.importorskip("build", reason="comes with the extra dev")

from release.build import SUMS, build

ROOT = Path(__file__).parent.parent.parent


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", "-C", folder, *arguments], check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.slow
def test_two_checkouts_give_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another folder, dates, owner's mask, time zone and rubbish in the checkout: none is seen."""
    if not (ROOT / ".git").exists():
        pytest.skip("needs a Git checkout")
    commit = git(ROOT, "rev-parse", "HEAD")
    first = build(ROOT, commit, tmp_path / "first")
    clone = tmp_path / "another" / "checkout"
    mask = os.umask(0o077)
    try:
        git(tmp_path, "clone", "--quiet", "--depth", "1", ROOT.as_uri(), str(clone))
        (clone / "vavl" / "secret.py").write_text("not committed")
        (clone / "LICENSE").write_text("changed and not committed")
        monkeypatch.setenv("TZ", "Asia/Tokyo")
        monkeypatch.setenv("SOURCE_DATE_EPOCH", "1")
        second = build(clone, "HEAD", tmp_path / "second")
    finally:
        os.umask(mask)
    assert [path.name for path in first] == [path.name for path in second]
    assert [path.name for path in first if path.read_bytes() != second[first.index(path)].read_bytes()] == []

    wheel, source, sbom, _ = second
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator  # takes 3 s

    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(sbom.read_text("utf-8")) is None
    committed = set(git(ROOT, "ls-tree", "-r", "--name-only", commit).splitlines())
    with tarfile.open(source) as content:
        members = content.getmembers()
    assert {member.name.partition("/")[2] for member in members} == committed | {"PKG-INFO"}
    assert {(member.uid, member.gid, member.uname, member.gname) for member in members} == {(0, 0, "", "")}
    assert {member.mtime for member in members} == {int(git(ROOT, "show", "--no-patch", "--format=%ct", commit))}
    with zipfile.ZipFile(wheel) as names:
        assert "vavl/secret.py" not in names.namelist()
    subprocess.run(["sha256sum", "--check", "--strict", SUMS], cwd=tmp_path / "second", check=True, capture_output=True)


def test_older_distributions_stay(tmp_path: Path) -> None:
    older = tmp_path / "vavl_edge-0.1.0.tar.gz"
    older.write_text("")
    with pytest.raises(FileExistsError, match=r"holds vavl_edge-0\.1\.0\.tar\.gz; remove them"):
        build(ROOT, "HEAD", tmp_path)


def test_a_commit_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"no-such-tag.* ended with 128"):
        build(ROOT, "no-such-tag", tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("module", ["release.build", "release.sbom"])
def test_programs_tell_how_they_are_called(module: str) -> None:
    command = [sys.executable, "-m", module, "--help"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    assert f"python -m {module}" in done.stdout

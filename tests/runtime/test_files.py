"""Files and folders are written whole or not at all."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from vavl_runtime.errors import OutputError
from vavl_runtime.files import file_beside, folder_beside, write_atomically


@pytest.fixture
def flushed(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each handle that was flushed to disk could write; Windows refuses those that cannot."""
    fcntl = pytest.importorskip("fcntl")
    real: Callable[[int], None] = os.fsync
    found = []

    def fsync(handle: int) -> None:
        found.append(fcntl.fcntl(handle, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY)
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    return found


def test_a_file_is_flushed_by_a_handle_that_may_write(tmp_path: Path, flushed: list[bool]) -> None:
    write_atomically(tmp_path / "deep" / "file", b"content")
    assert (tmp_path / "deep" / "file").read_bytes() == b"content"
    assert flushed == [True]


def test_copies_of_read_only_files_can_be_flushed(tmp_path: Path, flushed: list[bool]) -> None:
    with folder_beside(tmp_path / "made", overwrite=False) as folder:
        (folder / "inner").mkdir()
        for name in ("a", "inner/b"):
            (folder / name).write_bytes(b"content")
            (folder / name).chmod(0o444)
    assert flushed == [True, True]
    assert all((tmp_path / "made" / name).stat().st_mode & stat.S_IWUSR for name in ("a", "inner/b"))


def test_a_failure_keeps_what_was_there(tmp_path: Path) -> None:
    write_atomically(tmp_path / "file", b"old")
    with pytest.raises(RuntimeError), file_beside(tmp_path / "file") as temporary:
        temporary.write_bytes(b"new")
        raise RuntimeError
    with pytest.raises(RuntimeError), folder_beside(tmp_path / "folder", overwrite=True) as folder:
        (folder / "file").write_bytes(b"new")
        raise RuntimeError
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("file", b"old")]


def test_what_exists_is_replaced_only_when_asked(tmp_path: Path) -> None:
    write_atomically(tmp_path / "file", b"old")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match="already exists"), file_beside(tmp_path / "file", overwrite=False):
        pass
    with pytest.raises(OutputError, match="already exists"), folder_beside(tmp_path / "folder", overwrite=False):
        pass
    with pytest.raises(OutputError, match="a folder; name a file"), file_beside(tmp_path / "folder"):
        pass
    with folder_beside(tmp_path / "folder", overwrite=True) as folder:
        (folder / "new").touch()
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["new"]


@pytest.mark.parametrize("left", [".out.abcd_123", ".out.old.abcd_123"])
def test_what_a_killed_run_left_is_named(left: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / left).mkdir()
    for other in ("out.abcd_123", ".out.journal", ".out2.abcd_123", ".output", ".other.abcd_123"):
        (tmp_path / other).mkdir()
    with folder_beside(tmp_path / "out", overwrite=False) as folder:
        (folder / "file").touch()
    assert caplog.messages == [
        f"{tmp_path / left}: unfinished; remove it, unless another run is writing out now",
    ]
    assert (tmp_path / left).is_dir()

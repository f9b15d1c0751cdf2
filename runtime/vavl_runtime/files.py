"""Atomic writing: fill a temporary file or folder in the same place, flush it to disk, rename it."""

import contextlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from vavl_runtime.errors import OutputError


@contextlib.contextmanager
def file_beside(path: Path, overwrite: bool = True) -> Iterator[Path]:
    """Fill a temporary file in the same folder and rename it when the block ends without an error.

    Args:
        path: Where the file goes; its folder is created if it does not exist.
        overwrite: Replace an existing file; otherwise an existing file is an error.

    Yields:
        An empty file on the same file system.

    Raises:
        OutputError: The path exists already or cannot be written.
    """
    path = Path(os.path.realpath(path))  # a link keeps pointing to its file
    if path.is_dir():
        raise OutputError(f"{path}: a folder; name a file")
    if path.exists() and not overwrite:
        raise OutputError(f"{path}: already exists; choose another place, or pass overwrite=True to replace it")
    if path.exists() and not path.is_file():  # a pipe or a device is written directly
        yield path
        return
    with _reported(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        os.close(handle)
        yield temporary
        with _reported(path):
            _make_durable(temporary)
            temporary.chmod(0o644)  # mkstemp gives 0600, which would hide results from others
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def _reported(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror}); choose another place") from error


def _make_durable(file: Path) -> None:
    """Flush a file to disk."""
    # Windows flushes only handles that may write, and a copy of a read-only file is read-only.
    file.chmod(file.stat().st_mode | stat.S_IWUSR)
    with file.open("r+b") as handle:
        os.fsync(handle.fileno())


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file; if that fails, its old content stays.

    Args:
        path: Where the file goes; its folder is created if it does not exist.
        content: The whole content.

    Raises:
        OutputError: The path cannot be written.
    """
    with file_beside(path) as temporary, _reported(path):
        temporary.write_bytes(content)


@contextlib.contextmanager
def folder_beside(path: Path, overwrite: bool) -> Iterator[Path]:
    """Fill a temporary folder in the same place and rename it when the block ends without an error.

    Args:
        path: Where the folder goes.
        overwrite: Replace an existing folder; otherwise an existing folder is an error.

    Yields:
        An empty folder on the same file system.

    Raises:
        OutputError: The path exists already or cannot be written.
    """
    path = path.absolute()
    if path.exists() and not overwrite:
        raise OutputError(f"{path}: already exists; choose another place, or pass overwrite=True to replace it")
    with _reported(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    try:
        yield temporary
        with _reported(path):
            temporary.chmod(0o755)
            for file in temporary.rglob("*"):
                if file.is_file():
                    _make_durable(file)
            _swap(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _swap(new: Path, path: Path) -> None:
    """Rename ``new`` to ``path``; an old folder there is removed only after that."""
    if not path.exists():
        new.rename(path)
        return
    old = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.old.")) / path.name
    path.rename(old)
    try:
        new.rename(path)
    except OSError:
        old.rename(path)
        raise
    finally:
        shutil.rmtree(old.parent, ignore_errors=True)

"""Atomic writing: fill a temporary file or folder in the same place, flush it to disk, rename it."""

import contextlib
import logging
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from vavl_runtime.errors import OutputError
from vavl_runtime.exchange import exchange

log = logging.getLogger(__name__)
_LEFT = re.compile(r"\.(?P<name>.+?)\.(?P<old>old\.)?[a-z0-9_]{8}", re.DOTALL)  # as `tempfile` names them


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
    with _reported(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _put_back(path)
    if path.exists() and not overwrite:
        raise OutputError(f"{path}: already exists; choose another place, or pass overwrite=True to replace it")
    with _reported(path):
        name_leftovers(path)
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
        _remove(temporary)


def remove_folder(folder: Path) -> None:
    """Remove a folder; if the process is killed meanwhile, the folder is there whole, or not under its name.

    Args:
        folder: An existing folder.
    """
    aside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    folder.rename(aside / folder.name)
    _remove(aside)


def _swap(new: Path, path: Path) -> None:
    """Give ``path`` the content of ``new``; what was there before is removed only after that."""
    if not path.exists():
        new.rename(path)
        return
    if exchange(new, path):  # the caller removes `new`, which is now what was there before
        return
    old = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.old.")) / path.name
    path.rename(old)
    try:
        new.rename(path)
    except OSError:
        old.rename(path)
        raise
    finally:
        _remove(old.parent)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _put_back(path: Path) -> None:
    """Undo a `_swap` that was killed when the path had lost its old content and not got the new one."""
    for sibling, name, replaced in _leftovers(path.parent):
        if name == path.name and replaced and not path.exists() and (sibling / name).exists():
            (sibling / name).rename(path)
            sibling.rmdir()
            log.warning("%s: put back; a run that was going to replace it did not finish", path)


def name_leftovers(path: Path) -> None:
    """Warn of unfinished files and folders beside a path. Another run may be at work on them, so nothing is removed.

    Args:
        path: What is going to be written; its folder exists.
    """
    _warn_of((left, name) for left, name, _ in _leftovers(path.parent) if name == path.name)


def name_leftovers_in(folder: Path) -> None:
    """Warn of all unfinished files and folders in a folder that only this program fills.

    Args:
        folder: The folder; it may be missing.
    """
    if folder.is_dir():
        _warn_of((left, name) for left, name, _ in _leftovers(folder))


def _warn_of(leftovers: Iterable[tuple[Path, str]]) -> None:
    for left, name in leftovers:
        log.warning("%s: unfinished; remove it, unless another run is writing %s now", left, name)


def _leftovers(folder: Path) -> Iterator[tuple[Path, str, bool]]:
    """What was being written in a folder: where, under which name, and whether it is what was there before."""
    for sibling in sorted(folder.iterdir()):
        if found := _LEFT.fullmatch(sibling.name):
            yield sibling, found["name"], found["old"] is not None

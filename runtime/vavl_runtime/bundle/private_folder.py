"""Folders that live for a while and that only this user can enter: unpacked archives, and copies of graphs.

Each holds a lock for as long as its process lives. One whose lock is free was left by a process that was killed. It is
removed when the next folder is made in the same place. Windows has no such lock, and there an open file could not be
removed with its folder.
"""

import contextlib
import os
import shutil
import tempfile
import time
from pathlib import Path

from vavl_runtime.errors import OutputError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

PREFIX = "vavl-"
_LOCK, _CONTENT = "lock", "content"
_YOUNG_S = 60.0  # a younger folder may not have taken its lock yet


class PrivateFolder:
    """Makes a folder; `close` removes it, and so does the end of the program.

    Args:
        place: Where; None for the usual folder for temporary files.

    Attributes:
        path: The folder, empty.

    Raises:
        OutputError: It cannot be made.
    """

    def __init__(self, place: Path | None = None) -> None:
        try:
            parent = place or Path(tempfile.gettempdir())
            remove_abandoned(parent)
            # Where open files cannot be removed, as on Windows, the rest stays until the system cleans up.
            self._folder = tempfile.TemporaryDirectory(prefix=PREFIX, dir=parent, ignore_cleanup_errors=True)
            self._lock: int | None = None
            if fcntl is not None:
                self._lock = os.open(Path(self._folder.name, _LOCK), os.O_RDWR | os.O_CREAT, 0o600)
                fcntl.flock(self._lock, fcntl.LOCK_EX)
            self.path = Path(self._folder.name, _CONTENT)
            self.path.mkdir()
        except OSError as error:
            raise OutputError(f"no folder for temporary files ({error.strerror}); set TMPDIR to one") from error

    def __enter__(self) -> Path:
        return self.path

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove the folder. Can be called again."""
        self._folder.cleanup()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def remove_abandoned(place: Path) -> None:
    """Remove the folders that killed processes of this user left in a place."""
    if fcntl is None:
        return
    for folder in place.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # somebody else's, or gone by now
            status = folder.stat()
            if status.st_uid != os.getuid() or time.time() - status.st_mtime < _YOUNG_S:
                continue
            lock = os.open(folder / _LOCK, os.O_RDWR | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)

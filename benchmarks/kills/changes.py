"""Counts what a process changes in a folder, and ends the process before one of these changes.

A change is a file that is opened for writing, made durable, renamed or removed, and a folder that is made or removed.
The process's own children are not counted.
"""

import os
import sys
from pathlib import Path
from typing import Any

_CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.chmod", "os.link", "os.symlink"}
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Changes:
    """Counts changes from `watch` on.

    Args:
        folder: Where changes are counted.
        at: Number of the change before which the process sends itself a signal, from 1 on; 0 for none.
        number: The signal.

    Attributes:
        count: Changes so far.
    """

    def __init__(self, folder: Path, at: int, number: int) -> None:
        self._prefix, self._at, self._number = f"{folder}{os.sep}", at, number
        self.count = 0
        self._process = 0

    def watch(self) -> None:
        """Begin to count, in this process for good."""
        self._process = os.getpid()
        sync = os.fsync

        def counted_sync(handle: int) -> None:
            self._add()
            sync(handle)

        os.fsync = counted_sync
        sys.addaudithook(self._see)

    def _see(self, event: str, arguments: tuple[Any, ...]) -> None:
        opened = event == "open" and (arguments[2] or 0) & _WRITES
        if not opened and event not in _CHANGES:
            return
        named = isinstance(arguments[0], (str, bytes, os.PathLike))  # and not an open file
        if named and str(Path(os.fsdecode(arguments[0])).absolute()).startswith(self._prefix):
            self._add()

    def _add(self) -> None:
        if os.getpid() != self._process:
            return
        self.count += 1
        if self.count == self._at:
            os.kill(os.getpid(), self._number)

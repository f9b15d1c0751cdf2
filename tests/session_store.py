"""Folders that are expensive to make: each is made once for the whole test run, whichever process asks first."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest


class SessionStore:
    """Read-only folders, shared by all processes of pytest-xdist.

    Tests must not write into what they get: they copy it first.

    Args:
        root: A folder that all processes of the run know.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        root.mkdir(exist_ok=True)

    @staticmethod
    def of_session(factory: pytest.TempPathFactory) -> "SessionStore":
        """The store of this test run; pytest removes it with its other temporary folders."""
        base = factory.getbasetemp()
        # The workers of pytest-xdist have their temporary folders inside that of the process that started them.
        return SessionStore((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "store")

    def get(self, name: str, make: Callable[[Path], object]) -> Path:
        """The folder of a name.

        Args:
            name: What it is called.
            make: Fills an empty folder. It is called by the first process that asks; the others wait for it.

        Returns:
            The finished folder. A failure of ``make`` leaves nothing, so the next process tries again.
        """
        from filelock import FileLock  # not at import: the runtime's tests run without it on a device

        finished = self._root / name
        with FileLock(self._root / f"{name}.lock"):
            if not finished.exists():
                unfinished = Path(tempfile.mkdtemp(prefix=f"{name}.", dir=self._root))
                make(unfinished)
                unfinished.rename(finished)
        return finished

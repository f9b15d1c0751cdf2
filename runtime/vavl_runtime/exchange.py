"""Exchanges two files or folders in one step, where the system can: neither name is ever without content."""

import ctypes
import os
import sys
from pathlib import Path

_HERE = -100  # AT_FDCWD: relative paths start in the current folder
_EXCHANGE = 2  # RENAME_EXCHANGE of Linux, RENAME_SWAP of macOS


def exchange(one: Path, other: Path) -> bool:
    """Exchange what two names of one file system stand for.

    Args:
        one: A file or folder.
        other: Another one.

    Returns:
        False if the system or the file system cannot; nothing has changed then.
    """
    first, second = os.fsencode(one), os.fsencode(other)
    try:
        if sys.platform == "linux":
            failed = ctypes.CDLL(None).renameat2(_HERE, first, _HERE, second, _EXCHANGE)
        elif sys.platform == "darwin":
            failed = ctypes.CDLL(None).renamex_np(first, second, _EXCHANGE)
        else:
            return False
    except AttributeError:  # an old C library
        return False
    return bool(failed == 0)

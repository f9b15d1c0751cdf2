"""Stdin, stdout and stderr of a command: what is closed, and what cannot be written, must not become a traceback."""

import contextlib
import errno
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from vavl_runtime.cli.common import UNDECODABLE, print_line

_CANNOT_WRITE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
_EXIT_OUTPUT = 3  # as of `vavl_runtime.errors.OutputError`, which --help does without


@contextlib.contextmanager
def safe_streams() -> Iterator[None]:
    """Run a command on streams that can show any file name and may be closed, full, or left by their reader."""
    _fill_closed_descriptors()
    if sys.stderr is None:  # print() would write to stdout instead
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - for as long as the process runs
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=UNDECODABLE)
    try:
        try:
            yield
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except BrokenPipeError:
        _drop_stdout()
        sys.exit(1)
    except OSError as error:
        if error.errno not in _CANNOT_WRITE:
            raise
        _drop_stdout()
        print_line(f"error: the output cannot be written ({error.strerror}); write to another place")
        sys.exit(_EXIT_OUTPUT)


def _fill_closed_descriptors() -> None:
    """Open what is closed on the null device, so that no file of ours gets the number of stdout or stderr."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number


def _drop_stdout() -> None:
    """Keep the interpreter's last flush quiet."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)

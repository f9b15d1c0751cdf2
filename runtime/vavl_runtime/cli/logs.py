"""What the libraries log, on stderr while a command runs. The libraries themselves set no handlers."""

import contextlib
import logging
import sys
import traceback
from collections.abc import Iterator

from vavl_runtime.cli.common import print_line

PACKAGES = ("vavl_runtime", "vavl_bench", "vavl_export", "vavl")
QUIET, USUAL, VERBOSE = logging.WARNING, logging.INFO, logging.DEBUG


class _StderrHandler(logging.Handler):
    """Prints each record as one line; the traceback of an error follows it."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            level = f"{record.levelname.lower()}: " if record.levelno >= logging.WARNING else ""
            print_line(level + record.getMessage())
            if record.exc_info:
                traceback.print_exception(*record.exc_info, file=sys.stderr)
        except Exception:
            self.handleError(record)


@contextlib.contextmanager
def log_to_stderr(level: int) -> Iterator[None]:
    """Print what our packages log, from a level on, for as long as the block runs.

    Args:
        level: `QUIET` shows warnings, `USUAL` progress too, `VERBOSE` everything.
    """
    handler = _StderrHandler()
    loggers = [logging.getLogger(name) for name in PACKAGES]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(level)
    try:
        yield
    finally:
        for logger, old in zip(loggers, before, strict=True):
            logger.removeHandler(handler)
            logger.setLevel(old)

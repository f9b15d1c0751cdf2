"""``kill`` and a closed terminal end a command as an exit does, so that temporary files are removed."""

import signal
import sys

_received: list[int] = []


def end_cleanly_on_signals() -> None:
    """Exit on SIGTERM and SIGHUP, with 128 plus the signal's number, unless they are ignored or handled already."""
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:  # nohup ignores SIGHUP
            signal.signal(number, _end)


def end_if_asked() -> None:
    """Exit if a signal asked for it.

    Python drops an exception that its handler raises while a destructor or a callback of a C library runs. Commands
    that go on for long ask here after each piece of work.
    """
    if _received:
        sys.exit(128 + _received[0])


def _end(number: int, _: object) -> None:
    _received.append(number)
    end_if_asked()

"""Reads and steers the stand-in for CUDA from Python."""

import ctypes
from pathlib import Path

from tests.gpu_standin.build import RUNTIME

_LIVE = ("live_pinned_blocks", "live_streams", "live_executables", "live_handles")
_REFUSALS = ("fail_malloc", "fail_pinned", "fail_capture", "fail_launch_in_capture", "pause_in_capture")


class Standin:
    """The counters and refusals of ``library/standin.h``.

    Args:
        folder: Where its libraries lie.
    """

    def __init__(self, folder: Path) -> None:
        self._library = ctypes.CDLL(str(folder / RUNTIME))
        self._library.standin_count.restype = ctypes.c_long
        self._library.standin_set.argtypes = [ctypes.c_char_p, ctypes.c_long]

    def count(self, name: str) -> int:
        """The value of a counter."""
        value = int(self._library.standin_count(name.encode()))
        assert value >= 0, name
        return value

    def refuse(self, name: str, call: int = 1) -> None:
        """Let the n-th call from now on fail, or with -1 all."""
        assert self._library.standin_set(name.encode(), call) == 0, name

    def pause_in_captures(self, milliseconds: int) -> None:
        """Let every capture last so long that other threads come in between."""
        self.refuse("pause_in_capture", milliseconds)

    def accept_all(self) -> None:
        """Let nothing fail any more."""
        for name in _REFUSALS:
            self.refuse(name, 0)

    def live(self) -> dict[str, int]:
        """What is alive. Device memory is left out: ONNX Runtime keeps some for buffers of any session."""
        return {name: self.count(name) for name in _LIVE}


class Difference:
    """What happened since it was made.

    Args:
        standin: The stand-in.
    """

    def __init__(self, standin: Standin) -> None:
        self._standin = standin
        self._before: dict[str, int] = {}
        self._names = ("captures", "broken_captures", "replays", "launches", "working_threads", "pageable_copies")
        self.restart()

    def restart(self) -> None:
        """Count from here."""
        self._before = {name: self._standin.count(name) for name in self._names}

    def __getattr__(self, name: str) -> int:
        return self._standin.count(name) - self._before[name]

"""The clock that measurements read and wait on. A simulated clock makes tests of the harness exact."""

import time
from typing import Protocol

_SPIN_S = 0.0005  # time.sleep returns up to this much late on an idle Linux machine


class Clock(Protocol):
    """Tells the time and waits."""

    def now(self) -> float:
        """Seconds since an arbitrary start, never decreasing."""

    def wait_until(self, time_s: float) -> None:
        """Return when `now` has reached a time; at once if it has passed."""


class SystemClock:
    """The machine's monotonic clock."""

    def now(self) -> float:
        """Seconds, with sub-microsecond resolution."""
        return time.perf_counter()

    def wait_until(self, time_s: float) -> None:
        """Sleep for most of the time and spin through the rest: sleeping alone would be late."""
        while (left := time_s - time.perf_counter()) > 0:
            time.sleep(left - _SPIN_S if left > _SPIN_S else 0)


class SimulatedClock:
    """A clock that moves only when told, or when somebody waits on it."""

    def __init__(self) -> None:
        self._now = 0.0

    def now(self) -> float:
        """Simulated seconds."""
        return self._now

    def wait_until(self, time_s: float) -> None:
        """Jump to a time."""
        self._now = max(self._now, time_s)

    def advance(self, seconds: float) -> None:
        """Let time pass, as work does."""
        self._now += seconds

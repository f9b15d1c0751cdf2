"""What the system enforces on a process that reads clips, so that a hostile clip can neither fill memory nor hang."""

import contextlib
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

# Only Linux counts private memory against the limit that we set.
CAN_LIMIT_MEMORY = resource is not None and sys.platform == "linux"
CAN_LIMIT_TIME = hasattr(signal, "setitimer")
_STATM = Path("/proc/self/statm")  # its sixth number: pages of private memory


def limit_memory(limit: int) -> None:
    """Let the system refuse this process more private memory than so many bytes, where it can."""
    if CAN_LIMIT_MEMORY:
        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))


def holds_much(limit: int) -> bool:
    """Whether the process keeps more than half of its memory limit, so that a new one should read the next clip.

    Libraries keep memory for the next clip, and each size of picture adds to it.
    """
    if not CAN_LIMIT_MEMORY or not _STATM.exists():
        return False
    pages = int(_STATM.read_text("ascii").split()[5])
    return pages * resource.getpagesize() > limit / 2


class Deadline:
    """Ends this process with SIGALRM when one step takes too long, wherever it hangs.

    Args:
        seconds: How long a step may take.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        if CAN_LIMIT_TIME:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)

    @contextlib.contextmanager
    def watch(self) -> Iterator[None]:
        """Watch the block's first step; `next_step` begins another."""
        self.next_step()
        try:
            yield
        finally:
            self._set(0.0)

    def next_step(self) -> None:
        """Begin a step: it has the whole time."""
        self._set(self._seconds)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Stop the clock in the block."""
        left = signal.getitimer(signal.ITIMER_REAL)[0] if CAN_LIMIT_TIME else 0.0
        self._set(0.0)
        try:
            yield
        finally:
            self._set(left)

    def _set(self, seconds: float) -> None:
        if CAN_LIMIT_TIME:
            signal.setitimer(signal.ITIMER_REAL, seconds)

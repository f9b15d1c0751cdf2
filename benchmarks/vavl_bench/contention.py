"""How many cores other programs used while we measured: a busy machine makes everything look slower."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from vavl_bench.system_state import ROOT

BUSY_SHARE = 0.1  # of all cores; an idle desktop uses about a third of that
_BUSY_FIELDS = (0, 1, 2, 5, 6, 7)  # of /proc/stat: user, nice, system, irq, softirq, and what the hypervisor took


@dataclass(frozen=True)
class Contention:
    """What other programs did.

    Attributes:
        load_average: Of the last minute, at the start; None where the system does not tell.
        other_cores: Cores that other programs used, on average; None where the system does not tell.
        cores: Cores of the machine.
        busy: Whether that is enough to disturb a measurement.
    """

    load_average: float | None
    other_cores: float | None
    cores: int
    busy: bool


class ContentionWatch:
    """Watches the machine from its making on.

    On Linux the time that all programs used is compared with ours. Elsewhere the load average at the start stands for
    what other programs use, because this process has not run for long then.

    Args:
        root: Where the kernel's files are; another folder in tests.
    """

    def __init__(self, root: Path = ROOT) -> None:
        self._root = root
        self._load_average = _load_average()
        self._start = time.monotonic()
        self._all, self._own = _all_seconds(root), _own_seconds()

    def stop(self) -> Contention:
        """Say what other programs did since the start."""
        elapsed = time.monotonic() - self._start
        now = _all_seconds(self._root)
        others = self._load_average
        if now is not None and self._all is not None and elapsed > 0:
            others = max(0.0, (now - self._all - (_own_seconds() - self._own)) / elapsed)
        cores = os.cpu_count() or 1
        return Contention(self._load_average, others, cores, others is not None and others > BUSY_SHARE * cores)


def _load_average() -> float | None:
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):  # Windows has none
        return None


def _own_seconds() -> float:
    """CPU time of this process and of its finished children."""
    return sum(os.times()[:4])


def _all_seconds(root: Path) -> float | None:
    """CPU time of all programs since the machine was started."""
    try:
        fields = (root / "proc/stat").read_text().splitlines()[0].split()[1:]
    except (OSError, IndexError):
        return None
    return sum(int(fields[index]) for index in _BUSY_FIELDS) / float(os.sysconf("SC_CLK_TCK"))

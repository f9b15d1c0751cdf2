"""Where the time of a run goes, stage by stage and thread by thread.

A stage opened inside another pauses it, so on one thread the stages never overlap. Stages of different threads may run
at the same time. That time is counted, too, which explains a sum above the wall time.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

WAIT = "wait"  # a thread waits for another one: shown, but not counted as work


@dataclass(frozen=True)
class StageBudget:
    """Where the wall time went.

    Attributes:
        total_s: Wall time since the timer was made, seconds.
        covered_s: Time in which at least one stage other than `WAIT` was running.
        concurrent_s: Time in which stages of two or more threads were running.
        busy_s: Seconds by stage, for each thread by its name.
    """

    total_s: float
    covered_s: float
    concurrent_s: float
    busy_s: Mapping[str, Mapping[str, float]]

    @property
    def stages_s(self) -> dict[str, float]:
        """Busy seconds by stage, summed over the threads; may exceed the wall time where threads overlap."""
        sums: dict[str, float] = {}
        for stages in self.busy_s.values():
            for name, seconds in stages.items():
                sums[name] = sums.get(name, 0.0) + seconds
        return sums

    @property
    def covered(self) -> float:
        """Share of the wall time that the stages account for, 0 to 1."""
        return self.covered_s / self.total_s if self.total_s > 0 else 1.0


class StageTimer:
    """Books wall time on stages, from any number of threads.

    Args:
        now: The clock, in seconds.
    """

    def __init__(self, now: Callable[[], float] = time.perf_counter) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._start = self._mark = now()
        self._covered = 0.0
        self._concurrent = 0.0
        self._open: dict[threading.Thread, list[str]] = {}  # its open stages, the running one last
        self._busy: dict[str, dict[str, float]] = {}

    def _book(self) -> None:
        """Book the time since the last event on the stages that have been running; the lock is held."""
        now = self._now()
        passed, self._mark = now - self._mark, now
        working = 0
        for thread, stages in self._open.items():
            if stages:
                busy = self._busy.setdefault(thread.name, {})
                busy[stages[-1]] = busy.get(stages[-1], 0.0) + passed
                working += stages[-1] != WAIT
        self._covered += passed if working else 0.0
        self._concurrent += passed if working > 1 else 0.0

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Book the time of a ``with`` block on a stage of the calling thread."""
        thread = threading.current_thread()
        with self._lock:
            self._book()
            self._open.setdefault(thread, []).append(name)
        try:
            yield
        finally:
            with self._lock:
                self._book()
                self._open[thread].pop()

    def each(self, name: str, items: Iterator[T]) -> Iterator[T]:
        """Pass items on, booking the time of producing each on a stage."""
        while True:
            with self.stage(name):
                try:
                    item = next(items)
                except StopIteration:
                    return
            yield item

    def budget(self) -> StageBudget:
        """Where the time has gone so far."""
        with self._lock:
            self._book()
            busy = {thread: dict(stages) for thread, stages in self._busy.items()}
            return StageBudget(self._mark - self._start, self._covered, self._concurrent, busy)

    def milliseconds(self) -> dict[str, float]:
        """Time by stage so far, and ``total`` since the timer was made, in milliseconds."""
        budget = self.budget()
        stages = {name: 1000.0 * seconds for name, seconds in budget.stages_s.items()}
        return stages | {"total": 1000.0 * budget.total_s}

"""Where the time of a run goes, stage by stage."""

import contextlib
import time
from collections.abc import Iterator
from typing import TypeVar

T = TypeVar("T")


class StageTimer:
    """Adds up wall time by stage. An inner stage pauses the outer one, so the stages sum to at most the total."""

    def __init__(self) -> None:
        self._start = self._mark = time.perf_counter()
        self._open: list[str] = []
        self._seconds: dict[str, float] = {}

    def _book(self) -> None:
        now = time.perf_counter()
        if self._open:
            name = self._open[-1]
            self._seconds[name] = self._seconds.get(name, 0.0) + now - self._mark
        self._mark = now

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Book the time of a ``with`` block on a stage."""
        self._book()
        self._open.append(name)
        try:
            yield
        finally:
            self._book()
            self._open.pop()

    def each(self, name: str, items: Iterator[T]) -> Iterator[T]:
        """Pass items on, booking the time of producing each on a stage."""
        while True:
            with self.stage(name):
                try:
                    item = next(items)
                except StopIteration:
                    return
            yield item

    def milliseconds(self) -> dict[str, float]:
        """Time by stage so far, and ``total`` since the timer was made, in milliseconds."""
        total = time.perf_counter() - self._start
        return {name: 1000.0 * seconds for name, seconds in self._seconds.items()} | {"total": 1000.0 * total}

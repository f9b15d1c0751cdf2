"""Reports the progress of a build of several engines, and estimates the time left."""

import time
from collections.abc import Callable

_SECONDS_BETWEEN_LINES = 10.0


class Watch:
    """Estimates the time left from the share of the cost that is done.

    Args:
        cost: Cost of all items.
        count: Number of items.
        print_line: Called with a line of text.
        now: Clock, seconds.
    """

    def __init__(
        self, cost: int, count: int, print_line: Callable[[str], None], now: Callable[[], float] = time.monotonic
    ) -> None:
        self._cost = cost
        self._count = count
        self._print = print_line
        self._now = now
        self._start = self._last_line = now()
        self._done = 0
        self._number = 0
        self._title = ""
        self._item_cost = 0

    def start(self, title: str, cost: int) -> Callable[[float], None]:
        """Begin an item.

        Args:
            title: Name of the item.
            cost: Cost of the item.

        Returns:
            A function to call with the share of the item that is done, 0 to 1.
        """
        self._number += 1
        self._title, self._item_cost = title, cost
        self._line("building", 0.0)
        return self._report

    def finish(self, result: str) -> None:
        """End the item.

        Args:
            result: The result, in a few words.
        """
        self._line(result, 1.0)
        self._done += self._item_cost

    def _report(self, share: float) -> None:
        if self._now() - self._last_line >= _SECONDS_BETWEEN_LINES:
            self._line(f"{share:.0%}", share)

    def _line(self, what: str, share: float) -> None:
        self._last_line = self._now()
        done = self._done + share * self._item_cost
        left = (self._last_line - self._start) * (self._cost - done) / done if done else None
        estimate = f", about {_duration(left)} left" if left else ""
        self._print(f"[{self._number}/{self._count}] {self._title}: {what}{estimate}")


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"

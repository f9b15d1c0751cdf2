"""Steady state: warm up, then repeat windows until three in a row agree, or report that they never did.

Earlier windows are set aside as settling. From the first agreeing window on everything counts; outliers are kept.
"""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vavl_bench.clock import Clock

AGREEING = 3  # windows in a row

Query = Callable[[], object]


@dataclass(frozen=True)
class WindowSettings:
    """How long to measure.

    Attributes:
        warm_up_s: Shortest warm-up, seconds.
        warm_up_queries: Fewest queries of the warm-up.
        window_s: Shortest window, seconds; a window holds at least one query.
        tolerance: Medians of agreeing windows differ by at most this share of the smallest.
        windows: Windows to count, the agreeing ones included.
        limit_s: Time after which no further window is begun, seconds; at least three are measured.
    """

    warm_up_s: float = 1.0
    warm_up_queries: int = 3
    window_s: float = 0.5
    tolerance: float = 0.05
    windows: int = 10
    limit_s: float = 60.0


@dataclass(frozen=True)
class Window:
    """Queries measured one after the other.

    Attributes:
        latencies_s: Of each query, seconds, in order.
        seconds: From the start of the first query to the end of the last.
    """

    latencies_s: tuple[float, ...]
    seconds: float

    @property
    def median_s(self) -> float:
        """Median latency, seconds."""
        return statistics.median(self.latencies_s)


@dataclass(frozen=True)
class Windows:
    """What was measured.

    Attributes:
        settling: Windows before the agreement, in order; they do not count.
        counted: Windows that count; all of them if no three in a row agreed.
        steady: Whether three in a row agreed, and the middle half of the counted medians did so to the end.
    """

    settling: tuple[Window, ...]
    counted: tuple[Window, ...]
    steady: bool

    @property
    def latencies_s(self) -> tuple[float, ...]:
        """All counted latencies, seconds."""
        return tuple(latency for window in self.counted for latency in window.latencies_s)

    @property
    def seconds(self) -> float:
        """Time the counted windows took."""
        return sum(window.seconds for window in self.counted)

    @property
    def spread(self) -> float:
        """How far the medians of the counted windows lie apart, as a share of the smallest."""
        return spread([window.median_s for window in self.counted])


def spread(values: Sequence[float]) -> float:
    """Distance of the largest from the smallest value, as a share of the smallest."""
    low = min(values)
    return (max(values) - low) / low if low > 0 else 0.0


def measure_windows(query: Query, clock: Clock, settings: WindowSettings) -> Windows:
    """Send queries one after the other, each as soon as the previous one is finished.

    Args:
        query: Asks and waits for the answer.
        clock: Where time is read.
        settings: How long to measure.

    Returns:
        The windows.
    """
    _warm_up(query, clock, settings)
    windows: list[Window] = []
    first_counted: int | None = None
    start = clock.now()
    while first_counted is None or len(windows) - first_counted < settings.windows:
        if len(windows) >= AGREEING and clock.now() - start >= settings.limit_s:
            break
        windows.append(measure_window(query, clock, settings.window_s))
        latest = [window.median_s for window in windows[-AGREEING:]]
        if first_counted is None and len(latest) == AGREEING and spread(latest) <= settings.tolerance:
            first_counted = len(windows) - AGREEING
    cut = first_counted or 0
    medians = [window.median_s for window in windows[cut:]]
    lower, _, upper = statistics.quantiles(medians, n=4, method="inclusive")
    steady = first_counted is not None and spread([lower, upper]) <= settings.tolerance
    return Windows(tuple(windows[:cut]), tuple(windows[cut:]), steady)


def _warm_up(query: Query, clock: Clock, settings: WindowSettings) -> None:
    start = clock.now()
    done = 0
    while done < settings.warm_up_queries or clock.now() - start < settings.warm_up_s:
        query()
        done += 1


def measure_window(query: Query, clock: Clock, least_s: float) -> Window:
    """Send queries one after the other for a time.

    Args:
        query: Asks and waits for the answer.
        clock: Where time is read.
        least_s: Time after which no further query is sent, seconds; one is always sent.

    Returns:
        The window.
    """
    latencies: list[float] = []
    start = now = clock.now()
    while not latencies or now - start < least_s:
        before = clock.now()
        query()
        now = clock.now()
        latencies.append(now - before)
    return Window(tuple(latencies), now - start)

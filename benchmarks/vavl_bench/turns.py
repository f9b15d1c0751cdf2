"""Compares sides within one process: they take turns, so that a busy machine slows all of them alike.

Only ratios of the same rounds are to be believed on a shared machine; `vavl_bench.steady_state` measures one subject.
"""

import statistics
from collections.abc import Callable, Mapping, Sequence

from vavl_bench.clock import Clock, SystemClock
from vavl_bench.steady_state import measure_window


def take_turns(
    sides: Mapping[str, Callable[[], object]], rounds: int, seconds: float, clock: Clock | None = None
) -> dict[str, list[float]]:
    """Time the sides of a comparison in rounds.

    A turn begins with a call that does not count: it brings the side's weights back into the caches, and the threads of
    the previous side go to sleep meanwhile. Every other round runs backwards, so that no side always follows the same
    one.

    Args:
        sides: What to call, by name.
        rounds: How often each side has its turn.
        seconds: How long the calls of a turn go on; at least one call counts.
        clock: Tells the time; the machine's clock by default.

    Returns:
        Seconds per call by side: the median of each turn, in the order of the rounds.

    Example:
        >>> turns = take_turns({"sum": lambda: sum(range(10)), "max": lambda: max(range(10))}, rounds=3, seconds=0.0)
        >>> [len(taken) for taken in turns.values()]
        [3, 3]
    """
    clock = clock or SystemClock()
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds):
        for name in list(sides)[:: -1 if number % 2 else 1]:
            sides[name]()
            taken[name].append(measure_window(sides[name], clock, seconds).median_s)
    return taken


def least_and_median(turns: Sequence[float]) -> dict[str, float]:
    """Least and median of a side's turns."""
    return {"least": min(turns), "median": statistics.median(turns)}


def advantage(ours: Sequence[float], theirs: Sequence[float]) -> dict[str, float]:
    """How many times faster we are.

    Args:
        ours: Times of our turns.
        theirs: Times of the other side's turns, in the same rounds.

    Returns:
        Their time divided by ours: ``of_medians``, ``of_leasts``, and the ``least`` and ``largest`` of a round.

    Raises:
        ValueError: The sides have different numbers of rounds.
    """
    of_rounds = [other / mine for mine, other in zip(ours, theirs, strict=True)]
    return {
        "of_medians": statistics.median(theirs) / statistics.median(ours),
        "of_leasts": min(theirs) / min(ours),
        "least": min(of_rounds),
        "largest": max(of_rounds),
    }

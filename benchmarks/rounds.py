"""Turn by turn: what else a shared machine does slows all sides of a comparison alike, and only ratios are believed."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence

Clock = Callable[[], float]


def take_turns(
    sides: Mapping[str, Callable[[], object]], rounds: int, seconds: float, clock: Clock = time.perf_counter
) -> dict[str, list[float]]:
    """Time the sides of a comparison in rounds.

    A turn begins with a call that does not count: it brings the side's weights back into the caches, and threads of the
    side before go to sleep meanwhile. Every other round goes backwards, so that no side always follows the same one.

    Args:
        sides: What to call, by name.
        rounds: How often each side has its turn.
        seconds: How long the calls of a turn go on; one call counts at least.
        clock: Tells the time, seconds.

    Returns:
        Seconds a call by side, the median of a turn each, in the order of the rounds.
    """
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds):
        for name in list(sides)[:: -1 if number % 2 else 1]:
            sides[name]()
            taken[name].append(_turn(sides[name], seconds, clock))
    return taken


def _turn(call: Callable[[], object], seconds: float, clock: Clock) -> float:
    times: list[float] = []
    end = clock() + seconds
    while not times or clock() < end:
        start = clock()
        call()
        times.append(clock() - start)
    return statistics.median(times)


def least_and_median(turns: Sequence[float]) -> dict[str, float]:
    """Least and median of a side's turns."""
    return {"least": min(turns), "median": statistics.median(turns)}


def advantage(ours: Sequence[float], theirs: Sequence[float]) -> dict[str, float]:
    """How many times faster we are.

    Args:
        ours: Times of our turns.
        theirs: Times of the other side's turns, of the same rounds.

    Returns:
        Their time over ours: ``of_medians``, ``of_leasts``, and the least and the largest of a round.
    """
    of_rounds = [other / mine for mine, other in zip(ours, theirs, strict=True)]
    return {
        "of_medians": statistics.median(theirs) / statistics.median(ours),
        "of_leasts": min(theirs) / min(ours),
        "least": min(of_rounds),
        "largest": max(of_rounds),
    }

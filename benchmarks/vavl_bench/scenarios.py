"""The server scenario of MLPerf inference.

Single stream, multi stream and offline are closed loops (`vavl_bench.steady_state`) that differ in the clips of a
query. The server's queries arrive whether or not earlier ones are finished, and a latency counts from the scheduled
arrival. Waiting behind a slow query is thus included; a loop that sends late would omit it (coordinated omission).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vavl_bench.clock import Clock
from vavl_bench.schema import ScenarioName, ServerOutcome, ServerTrial
from vavl_bench.statistics import percentile
from vavl_bench.steady_state import Query, Window

SCENARIOS: dict[ScenarioName, str] = {
    "single-stream": "one clip after the other",
    "multi-stream": "one query of several clips after the other",
    "server": "clips arrive at random; the highest rate that keeps a latency bound is searched for",
    "offline": "all clips are there at once; only throughput counts",
}
STREAMS = 8  # clips of a query in the multi-stream scenario, as in MLPerf
LEAST_QUERIES = 20  # of a trial, however slow they are


@dataclass(frozen=True)
class ServerSettings:
    """Settings of the server scenario.

    Attributes:
        bound_s: Latency that the percentile must keep, seconds.
        percentile: Of MLPerf's server.
        queries: Arrivals of a trial.
        trial_s: Longest trial, seconds: slow queries get fewer arrivals, but never below `LEAST_QUERIES`.
        limit_s: Time after which no further trial is begun, seconds; at least one is played.
        resolution: The search ends when the rates that kept and broke the bound differ by at most this share.
        seed: Of the arrivals; every trial plays the same pattern, faster or slower.
    """

    bound_s: float
    percentile: float = 99.0
    queries: int = 500
    trial_s: float = 20.0
    limit_s: float = math.inf
    resolution: float = 0.02
    seed: int = 0


@dataclass(frozen=True)
class Served:
    """Result of a trial.

    Attributes:
        window: Latencies from scheduled arrival to answer, and the time from the trial's start to the last answer.
        kept: Whether the percentile kept the bound; a trial that can no longer keep it is stopped.
    """

    window: Window
    kept: bool


def arrivals(queries: int, rate: float, seed: int) -> NDArray[np.float64]:
    """Times of Poisson arrivals.

    Args:
        queries: How many.
        rate: Mean arrivals per second.
        seed: Of the pattern; another rate stretches the same pattern.

    Returns:
        Seconds from the start, increasing, shape (queries,).
    """
    gaps = np.random.default_rng(seed).exponential(1.0, queries)
    times: NDArray[np.float64] = np.cumsum(gaps) / rate
    return times


def serve(query: Query, clock: Clock, rate: float, queries: int, settings: ServerSettings) -> Served:
    """Run one trial: one server with a queue, first come first served.

    Args:
        query: Asks and waits for the answer.
        clock: Where time is read and waited on.
        rate: Mean arrivals per second.
        queries: Arrivals.
        settings: Bound, percentile, seed.

    Returns:
        What the trial gave.
    """
    may_be_late = queries - math.ceil(settings.percentile / 100 * queries)
    latencies: list[float] = []
    late = 0
    start = done = clock.now()
    for arrival in arrivals(queries, rate, settings.seed):
        clock.wait_until(start + float(arrival))
        query()
        done = clock.now()
        latencies.append(done - start - float(arrival))
        late += latencies[-1] > settings.bound_s
        if late > may_be_late:  # whatever still comes, the percentile is over the bound
            break
    return Served(Window(tuple(latencies), done - start), late <= may_be_late)


def search_rate(query: Query, clock: Clock, service_s: float, settings: ServerSettings) -> tuple[ServerOutcome, Window]:
    """Search for the highest arrival rate that keeps the bound, by bisection.

    Args:
        query: Asks and waits for the answer.
        clock: Where time is read and waited on.
        service_s: Mean time of a query without a queue, seconds; no rate above its inverse can last.
        settings: How to play.

    Returns:
        The outcome, and the latencies at the highest rate; those of the slowest trial if none kept the bound.
    """
    low, high = 0.0, 1.0 / service_s
    trials: list[ServerTrial] = []
    best: Window | None = None
    slowest: Window | None = None
    start = clock.now()
    while high - low > settings.resolution * high and high * service_s > settings.resolution:
        if trials and clock.now() - start >= settings.limit_s:
            break
        rate = (low + high) / 2
        queries = max(min(settings.queries, int(rate * settings.trial_s)), LEAST_QUERIES)
        served = serve(query, clock, rate, queries, settings)
        latencies = served.window.latencies_s
        reached_ms = 1000 * percentile(latencies, settings.percentile)
        trials.append(ServerTrial(rate_per_s=rate, queries=len(latencies), percentile_ms=reached_ms, kept=served.kept))
        if served.kept:
            low, best = rate, served.window
        else:
            high, slowest = rate, served.window
    outcome = ServerOutcome(
        bound_ms=1000 * settings.bound_s,
        percentile=settings.percentile,
        highest_rate_per_s=low,
        trials=tuple(trials),
    )
    window = best or slowest
    assert window is not None  # the first trial is always played
    return outcome, window

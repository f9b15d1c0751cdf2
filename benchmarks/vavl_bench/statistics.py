"""Latency statistics: nearest-rank percentiles of all measured values, and intervals for comparing two runs."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vavl_bench.schema import Latency

RESAMPLES = 10_000
CONFIDENCE = 0.99


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least a given share of all values does not exceed; always a measured value.

    Args:
        values: At least one, in any order.
        share: In percent, above 0, up to 100.

    Returns:
        The nearest-rank percentile; with few values a high one is the maximum.
    """
    ranked = sorted(values)
    return ranked[max(math.ceil(share / 100 * len(ranked)), 1) - 1]


def summarise(latencies_s: Sequence[float]) -> Latency:
    """Summarise latencies without leaving any out.

    Args:
        latencies_s: Seconds, at least one.

    Returns:
        The figures, milliseconds.
    """
    ranked = sorted(1000.0 * latency for latency in latencies_s)
    return Latency(
        count=len(ranked),
        mean_ms=math.fsum(ranked) / len(ranked),
        p50_ms=percentile(ranked, 50),
        p90_ms=percentile(ranked, 90),
        p95_ms=percentile(ranked, 95),
        p99_ms=percentile(ranked, 99),
        max_ms=ranked[-1],
    )


def ratio_interval(base: Sequence[float], other: Sequence[float], seed: int = 0) -> tuple[float, float, float]:
    """Estimate how many times larger one run's typical value is than another's, by the bootstrap over windows.

    Whole windows are drawn, not single queries, because neighbouring queries are correlated.

    Args:
        base: One figure for each window of the baseline.
        other: One figure for each window of the run to judge.
        seed: Of the draws.

    Returns:
        Ratio of the medians, and the ends of its interval of confidence `CONFIDENCE`.
    """
    generator = np.random.default_rng(seed)
    ratios = _drawn_medians(other, generator) / _drawn_medians(base, generator)
    low, high = np.quantile(ratios, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(np.median(other) / np.median(base)), float(low), float(high)


def _drawn_medians(values: Sequence[float], generator: np.random.Generator) -> NDArray[np.float64]:
    drawn = generator.choice(np.asarray(values, np.float64), (RESAMPLES, len(values)))
    medians: NDArray[np.float64] = np.median(drawn, axis=1)
    return medians

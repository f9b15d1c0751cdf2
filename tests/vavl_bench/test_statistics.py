"""Figures of latencies: against NumPy and by their definition."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vavl_bench.statistics import percentile, ratio_interval, summarise

Latencies = st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=300)


@settings(deadline=None)
@given(Latencies, st.floats(0.5, 100))
def test_a_percentile_is_the_smallest_value_that_covers_the_share(values: list[float], share: float) -> None:
    found = percentile(values, share)
    assert found in values
    assert found == np.percentile(values, share, method="inverted_cdf")


@settings(deadline=None)
@given(Latencies)
def test_a_summary_leaves_nothing_out(values: list[float]) -> None:
    summary = summarise(values)
    assert summary.count == len(values)
    assert summary.max_ms == 1000 * max(values)
    assert summary.mean_ms == pytest.approx(1000 * math.fsum(values) / len(values))
    ordered = [summary.p50_ms, summary.p90_ms, summary.p95_ms, summary.p99_ms, summary.max_ms]
    assert ordered == sorted(ordered)


def test_the_tail_is_never_clipped() -> None:
    assert summarise([0.001] * 99 + [60.0]).max_ms == 60_000
    assert summarise([0.001] * 98 + [60.0] * 2).p99_ms == 60_000


@settings(deadline=None, max_examples=20)
@given(st.lists(st.floats(1.0, 1.2), min_size=3, max_size=12), st.floats(0.2, 5.0))
def test_a_ratio_lies_in_its_interval_and_scales(values: list[float], factor: float) -> None:
    ratio, low, high = ratio_interval(values, [factor * value for value in values])
    assert ratio == pytest.approx(factor)
    assert low <= ratio * (1 + 1e-9)
    assert high >= ratio * (1 - 1e-9)
    assert ratio_interval(values, values)[0] == pytest.approx(1)

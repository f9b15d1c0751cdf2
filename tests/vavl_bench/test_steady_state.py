"""Steady state: three agreeing windows, nothing clipped after them, and never a verdict that was not reached."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.vavl_bench.fakes import QUICK, always, work
from vavl_bench.clock import SimulatedClock, SystemClock
from vavl_bench.statistics import summarise
from vavl_bench.steady_state import WindowSettings, measure_windows, spread


def test_steady_work_is_measured_exactly() -> None:
    clock = SimulatedClock()
    windows = measure_windows(work(clock, always(0.01)), clock, QUICK)
    assert windows.steady
    assert windows.settling == ()
    assert len(windows.counted) == QUICK.windows
    assert windows.latencies_s == pytest.approx([0.01] * len(windows.latencies_s))
    assert len(windows.latencies_s) / windows.seconds == pytest.approx(100)


def test_settling_is_kept_apart() -> None:
    clock = SimulatedClock()
    slow_start = (0.2 * 0.9**i for i in range(28))
    windows = measure_windows(work(clock, itertools.chain(slow_start, always(0.01))), clock, QUICK)
    assert windows.steady
    assert len(windows.settling) >= 2
    assert max(windows.counted[3].latencies_s) == pytest.approx(0.01)


def test_work_that_keeps_changing_is_unstable() -> None:
    clock = SimulatedClock()
    windows = measure_windows(work(clock, (0.01 * 1.05**i for i in range(10_000))), clock, QUICK)
    assert not windows.steady
    assert windows.settling == ()  # all of it is reported


def test_work_that_changes_for_good_after_it_seemed_steady_is_unstable() -> None:
    clock = SimulatedClock()
    durations = itertools.chain([0.01] * 200, always(0.02))
    windows = measure_windows(work(clock, durations), clock, QUICK)
    assert not windows.steady
    assert windows.spread == pytest.approx(1.0)


def test_one_slow_window_is_a_tail_and_no_drift() -> None:
    clock = SimulatedClock()
    durations = itertools.chain([0.01] * 260, [0.5], always(0.01))
    windows = measure_windows(work(clock, durations), clock, QUICK)
    assert windows.steady
    assert summarise(windows.latencies_s).max_ms == pytest.approx(500)


def test_a_query_longer_than_the_limit_still_gives_three_windows() -> None:
    clock = SimulatedClock()
    windows = measure_windows(work(clock, always(100.0)), clock, QUICK)
    assert [len(window.latencies_s) for window in windows.counted] == [1, 1, 1]
    assert windows.steady


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(1e-3, 2.0), min_size=1, max_size=200))
def test_everything_after_the_settling_counts(durations: list[float]) -> None:
    clock = SimulatedClock()
    seen: list[float] = []

    def query() -> None:
        seconds = durations[len(seen) % len(durations)]
        seen.append(seconds)
        clock.advance(seconds)

    quick = WindowSettings(warm_up_s=0.0, warm_up_queries=1, window_s=0.3, windows=4, limit_s=5.0)
    windows = measure_windows(query, clock, quick)
    measured = [latency for window in (*windows.settling, *windows.counted) for latency in window.latencies_s]
    assert measured == pytest.approx(seen[1:])
    assert windows.seconds == pytest.approx(sum(windows.latencies_s))


def test_spread_of_nothing_but_zeros() -> None:
    assert spread([0.0, 0.0]) == 0.0
    assert spread([1.0, 1.5, 1.2]) == pytest.approx(0.5)


def test_the_system_clock_never_wakes_early() -> None:
    clock = SystemClock()
    for delay in (-1.0, 0.0, 0.0003, 0.004):
        due = clock.now() + delay
        clock.wait_until(due)
        assert clock.now() >= due

"""The server scenario, against a queue computed by hand: waiting counts, and the highest rate is the highest."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from tests.vavl_bench.fakes import always, work
from vavl_bench.clock import SimulatedClock, SystemClock
from vavl_bench.scenarios import ServerSettings, arrivals, search_rate, serve
from vavl_bench.statistics import percentile

LENIENT = ServerSettings(bound_s=1e9)


def queue_by_hand(times: np.ndarray, services: list[float]) -> list[float]:
    """Lindley's recursion: a query starts when it has arrived and the one before is answered."""
    free, latencies = 0.0, []
    for arrival, service in zip(times, services, strict=False):
        free = max(free, arrival) + service
        latencies.append(free - arrival)
    return latencies


def test_arrivals_are_poisson() -> None:
    times = arrivals(20_000, 50.0, seed=3)
    gaps = np.diff(times)
    assert (gaps > 0).all()
    assert gaps.mean() == pytest.approx(1 / 50, rel=0.03)
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.03)
    np.testing.assert_allclose(arrivals(20_000, 100.0, seed=3), times / 2)


@pytest.mark.parametrize("rate", [5.0, 50.0, 95.0, 200.0])
def test_a_trial_is_the_queue(rate: float) -> None:
    services = [0.002 if i % 10 else 0.06 for i in range(1000)]
    clock = SimulatedClock()
    served = serve(work(clock, services), clock, rate, 1000, LENIENT)
    by_hand = queue_by_hand(arrivals(1000, rate, 0), services)
    assert served.kept
    assert served.window.latencies_s == pytest.approx(by_hand)
    for share in (50, 99):
        assert percentile(served.window.latencies_s, share) == pytest.approx(percentile(by_hand, share), rel=0.02)


def test_throughput_follows_the_arrivals_until_the_server_is_full() -> None:
    for rate, expected in ((50.0, 50.0), (400.0, 100.0)):
        clock = SimulatedClock()
        served = serve(work(clock, always(0.01)), clock, rate, 5000, LENIENT)
        assert len(served.window.latencies_s) / served.window.seconds == pytest.approx(expected, rel=0.02)


def test_a_stall_is_paid_by_everything_that_waits_behind_it() -> None:
    """A loop that sends late would see one slow query in a thousand; half of the arrivals really wait."""
    stalled = itertools.chain([0.001] * 100, [5.0], always(0.001))
    clock = SimulatedClock()
    served = serve(work(clock, stalled), clock, 100.0, 1000, LENIENT)
    waited = sum(latency > 0.1 for latency in served.window.latencies_s)
    assert 400 < waited < 700
    assert percentile(served.window.latencies_s, 99) > 4


def test_a_trial_that_is_lost_is_broken_off() -> None:
    clock = SimulatedClock()
    served = serve(work(clock, always(1.0)), clock, 100.0, 500, ServerSettings(bound_s=0.5))
    assert not served.kept
    assert len(served.window.latencies_s) == 6  # five of 500 may be late


def test_breaking_off_never_changes_the_verdict() -> None:
    services = [0.001 if i % 50 else 0.2 for i in range(500)]
    for bound_s in (0.05, 0.15, 0.21, 0.5):
        clock = SimulatedClock()
        settings = ServerSettings(bound_s=bound_s)
        served = serve(work(clock, services), clock, 20.0, 500, settings)
        by_hand = queue_by_hand(arrivals(500, 20.0, settings.seed), services)
        assert served.kept == (percentile(by_hand, 99) <= bound_s)


@pytest.mark.parametrize(("service_s", "bound_s"), [(0.01, 0.05), (0.004, 0.02), (0.01, 0.5)])
def test_the_highest_rate_is_found(service_s: float, bound_s: float) -> None:
    clock = SimulatedClock()
    settings = ServerSettings(bound_s=bound_s)
    outcome, window = search_rate(work(clock, always(service_s)), clock, service_s, settings)
    found = outcome.highest_rate_per_s

    def keeps(rate: float) -> bool:
        queries = max(min(settings.queries, int(rate * settings.trial_s)), 20)
        latencies = queue_by_hand(arrivals(queries, rate, settings.seed), [service_s] * queries)
        return percentile(latencies, settings.percentile) <= bound_s

    assert 0 < found <= 1 / service_s
    assert keeps(found)
    assert not keeps(found * 1.05) or found * 1.05 > 1 / service_s
    assert percentile(window.latencies_s, 99) <= bound_s
    assert all(trial.kept == (trial.percentile_ms <= outcome.bound_ms) for trial in outcome.trials)


def test_a_bound_below_the_service_time_is_never_kept() -> None:
    clock = SimulatedClock()
    outcome, _ = search_rate(work(clock, always(0.1)), clock, 0.1, ServerSettings(bound_s=0.05))
    assert outcome.highest_rate_per_s == 0
    assert not any(trial.kept for trial in outcome.trials)


@pytest.mark.parametrize("limit_s", [0.0, 10.0, 25.0])
def test_no_trial_begins_after_the_limit(limit_s: float) -> None:
    clock, other = SimulatedClock(), SimulatedClock()
    settings = ServerSettings(bound_s=5.0, trial_s=5.0)
    whole, _ = search_rate(work(other, always(0.1)), other, 0.1, settings)
    outcome, _ = search_rate(work(clock, always(0.1)), clock, 0.1, replace(settings, limit_s=limit_s))
    assert 1 <= len(outcome.trials) < len(whole.trials)
    assert outcome.trials == whole.trials[: len(outcome.trials)]
    assert clock.now() <= limit_s + 15.0  # the trial under way is finished


@pytest.mark.slow
def test_arrivals_keep_their_rate_on_the_real_clock() -> None:
    clock = SystemClock()
    times = arrivals(200, 25.0, LENIENT.seed)
    served = serve(lambda: clock.wait_until(clock.now() + 0.01), clock, 25.0, 200, LENIENT)
    assert 200 / served.window.seconds == pytest.approx(200 / (times[-1] + 0.01), rel=0.02)
    assert min(served.window.latencies_s) >= 0.01

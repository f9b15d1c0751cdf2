"""Comparing runs: no alarm without a cause, an alarm with one, and no comparison of different work."""

import pytest

from tests.vavl_bench.fakes import always, jittered
from tests.vavl_bench.reports import made_measurement, made_report
from vavl_bench.compare import Comparison, compare_reports
from vavl_bench.errors import IncomparableError
from vavl_bench.schema import Failure, Measurement, Report

TOLERANCE = 0.05
TRIES = 20


def noisy(seed: int, factor: float = 1.0) -> Report:
    return made_report(made_measurement(jittered(factor * 0.01, seed)))


def only_pair(base: Report, other: Report, tolerance: float = TOLERANCE) -> Comparison:
    (pair,) = compare_reports(base, other, tolerance).pairs
    return pair


def test_equal_runs_raise_no_alarm_in_twenty_tries() -> None:
    verdicts = [only_pair(noisy(2 * n), noisy(2 * n + 1)).verdict for n in range(TRIES)]
    assert verdicts == ["same"] * TRIES


def test_a_planted_slow_down_of_ten_percent_is_found() -> None:
    pairs = [only_pair(noisy(2 * n), noisy(2 * n + 1, 1.1)) for n in range(TRIES)]
    assert [pair.verdict for pair in pairs] == ["slower"] * TRIES
    assert all(pair.regressed for pair in pairs)
    assert only_pair(noisy(1, 1.1), noisy(2)).verdict == "faster"


def test_a_slow_down_within_the_tolerance_is_none() -> None:
    assert only_pair(noisy(0), noisy(1, 1.1), tolerance=0.2).verdict == "same"


def test_a_difference_within_the_noise_cannot_be_judged_and_is_no_alarm() -> None:
    first_and_warm_up, windows = [0.6] * 3, [0.6] * 8 + [0.78] * 2  # one query a window
    uneven = made_report(made_measurement(first_and_warm_up + windows))
    pair = only_pair(uneven, made_report(made_measurement(always(0.636))))
    assert pair.ratio == pytest.approx(1.06)
    assert pair.verdict == "cannot tell"
    assert not pair.regressed


def test_unstable_runs_prove_nothing() -> None:
    drifting = made_report(made_measurement(0.01 * 1.05**i for i in range(10_000)))
    pair = only_pair(made_report(made_measurement(always(0.001))), drifting)
    assert pair.low is not None and pair.low > 1
    assert (pair.verdict, pair.regressed, pair.undecided) == ("cannot tell", False, True)
    same = only_pair(drifting, drifting)
    assert same.ratio == 1.0
    assert same.undecided


def test_rates_are_compared_upside_down() -> None:
    base, slow = (made_report(made_measurement(always(d), scenario="server")) for d in (0.01, 0.012))
    pair = only_pair(base, slow)
    assert pair.verdict == "slower"
    assert pair.ratio is not None and pair.ratio > 1.1
    assert (pair.low, pair.high) == (None, None)
    assert only_pair(base, base).verdict == "same"


def test_rates_under_different_bounds_are_refused() -> None:
    base = made_measurement(always(0.01), scenario="server")
    assert base.metrics is not None and base.metrics.server is not None
    server = base.metrics.server.model_copy(update={"bound_ms": base.metrics.server.bound_ms / 2})
    strict = base.model_copy(update={"metrics": base.metrics.model_copy(update={"server": server})})
    with pytest.raises(IncomparableError, match=r"server: the bounds differ, .* % within .* ms against .* ms"):
        compare_reports(made_report(base), made_report(strict), TOLERANCE)


def test_different_scopes_are_refused() -> None:
    graph = made_report(made_measurement(always(0.01)))
    model = made_report(made_measurement(always(0.01), scope="model"))
    with pytest.raises(IncomparableError, match="scopes differ: graph against model"):
        compare_reports(graph, model, TOLERANCE)
    both = made_report(*graph.measurements, *model.measurements)
    with pytest.raises(IncomparableError, match="graph and model"):
        compare_reports(graph, both, TOLERANCE)


def test_nothing_in_common_is_refused() -> None:
    with pytest.raises(IncomparableError, match="no measurement is in both"):
        compare_reports(
            made_report(made_measurement(always(0.01), batch=1)),
            made_report(made_measurement(always(0.01), batch=2)),
            TOLERANCE,
        )


def test_cells_of_one_side_are_named() -> None:
    one, two = made_measurement(always(0.01), batch=1), made_measurement(always(0.01), batch=2)
    comparisons = compare_reports(made_report(one, two), made_report(one), TOLERANCE)
    assert [key.batch for key in comparisons.only_base] == [2]
    assert comparisons.only_other == ()


def test_backends_are_compared_across_if_told_so() -> None:
    ours = made_measurement(always(0.01))
    theirs = ours.model_copy(update={"key": ours.key.model_copy(update={"backend": "another", "threads": 7})})
    with pytest.raises(IncomparableError, match="no measurement is in both"):
        compare_reports(made_report(ours), made_report(theirs), TOLERANCE)
    across = frozenset({"backend", "threads"})
    assert len(compare_reports(made_report(ours), made_report(theirs), TOLERANCE, across).pairs) == 1
    with pytest.raises(IncomparableError, match="more than once in one report, ignoring backend, threads"):
        compare_reports(made_report(ours, theirs), made_report(ours), TOLERANCE, across)


def test_a_cell_that_fails_now_is_an_alarm() -> None:
    whole = made_measurement(always(0.01))
    failed = Measurement(key=whole.key, error=Failure(kind="input", message="broken"))
    assert only_pair(made_report(whole), made_report(failed)).regressed
    assert not only_pair(made_report(failed), made_report(whole)).regressed

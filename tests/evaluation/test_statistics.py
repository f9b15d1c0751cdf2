"""t-tests against SciPy, and defined where SciPy answers NaN."""

from collections.abc import Callable

import numpy as np
import pytest
import scipy.stats
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from vavl.evaluation.statistics import (
    independent_t_test,
    mean_and_deviation,
    one_sample_t_test,
    paired_t_test,
    star,
)
from vavl_runtime.errors import InvalidArrayError

many = settings(max_examples=100, deadline=None)
scores = st.integers(0, 1000).map(lambda step: step / 1000)
samples = st.lists(st.tuples(scores, scores), min_size=2, max_size=12)


@many
@given(samples)
def test_tests_equal_scipy(pairs: list[tuple[float, float]]) -> None:
    ours, theirs = (np.array(side) for side in zip(*pairs, strict=True))
    assume(np.ptp(ours - theirs) > 1e-9 and np.ptp(ours) > 0 and np.ptp(theirs) > 0)
    assert paired_t_test(ours, theirs) == pytest.approx(scipy.stats.ttest_rel(ours, theirs).pvalue, rel=1e-9)
    assert independent_t_test(ours, theirs) == pytest.approx(scipy.stats.ttest_ind(ours, theirs).pvalue, rel=1e-9)
    assert one_sample_t_test(ours, 1 / 6) == pytest.approx(scipy.stats.ttest_1samp(ours, 1 / 6).pvalue, rel=1e-9)


@many
@given(samples)
def test_tests_are_two_tailed_and_never_nan(pairs: list[tuple[float, float]]) -> None:
    ours, theirs = (list(side) for side in zip(*pairs, strict=True))
    for test in (paired_t_test, independent_t_test):
        p = test(ours, theirs)
        assert p is not None and 0 <= p <= 1
        assert test(theirs, ours) == pytest.approx(p)
    p = one_sample_t_test(ours, 0.5)
    assert p is not None and 0 <= p <= 1


@pytest.mark.parametrize("test", [paired_t_test, independent_t_test])
def test_without_variance_the_means_decide(test: Callable[..., float | None]) -> None:
    assert test([0.1 + 0.2] * 3, [0.3] * 3) == 1.0  # they differ by rounding only
    assert test([0.4] * 3, [0.3] * 3) == 0.0


def test_a_constant_difference_has_no_variance() -> None:
    assert paired_t_test([0.2, 0.3, 0.5], [0.1, 0.2, 0.4]) == 0.0
    assert one_sample_t_test([1 / 6] * 5, 1 / 6) == 1.0
    assert one_sample_t_test([0.5] * 5, 1 / 6) == 0.0


def test_one_constant_side_is_no_obstacle() -> None:
    assert independent_t_test([0.3] * 3, [0.1, 0.2, 0.4]) == pytest.approx(
        scipy.stats.ttest_ind_from_stats(0.3, 0.0, 3, 0.7 / 3, np.std([0.1, 0.2, 0.4], ddof=1), 3).pvalue
    )


def test_one_value_is_no_sample() -> None:
    assert paired_t_test([0.1], [0.2]) is None
    assert independent_t_test([0.1], [0.2, 0.3]) is None
    assert one_sample_t_test([0.1], 0.2) is None
    assert mean_and_deviation([0.1]) == (0.1, None)


@many
@given(st.lists(scores, min_size=2, max_size=12))
def test_deviation_is_the_samples(values: list[float]) -> None:
    mean, deviation = mean_and_deviation(values)
    assert mean == pytest.approx(sum(values) / len(values))
    assert deviation == pytest.approx((sum((x - mean) ** 2 for x in values) / (len(values) - 1)) ** 0.5)


@pytest.mark.parametrize(("p", "mark"), [(None, ""), (0.05, ""), (0.0499, "*"), (0.0, "*"), (1.0, "")])
def test_star(p: float | None, mark: str) -> None:
    assert star(p) == mark


@pytest.mark.parametrize("values", [[], [float("nan")], [[0.1, 0.2]]])
def test_samples_are_lists_of_numbers(values: list[float]) -> None:
    with pytest.raises(InvalidArrayError, match="expected a list of at least one finite number"):
        mean_and_deviation(values)


def test_pairs_need_partners() -> None:
    with pytest.raises(InvalidArrayError, match="got 2 and 3 values"):
        paired_t_test([0.1, 0.2], [0.1, 0.2, 0.3])

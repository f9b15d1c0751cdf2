"""Two-tailed t-tests over partitions (paper §4.4), made explicit where SciPy answers NaN.

A test needs two values; with fewer there is no p-value, and the functions say None. Values that do not vary, to
``RELATIVE`` of their size, have none by the formula either (0/0 or x/0): p is 1 where the means agree and 0 where they
do not, which is what p tends to as the variance vanishes.
"""

import numpy as np
import scipy.stats
from numpy.typing import ArrayLike

from vavl.evaluation.predictions import Floats
from vavl_runtime.errors import InvalidArrayError

SIGNIFICANT = 0.05
RELATIVE = 1e-12


def mean_and_deviation(values: ArrayLike) -> tuple[float, float | None]:
    """Mean and standard deviation of a sample (``ddof=1``).

    Args:
        values: At least one, finite.

    Returns:
        The mean, and the deviation; None instead of the deviation of a single value.

    Raises:
        InvalidArrayError: No values, not a plain list of them, or not finite.
    """
    sample = _sample(values)
    return float(sample.mean()), float(sample.std(ddof=1)) if len(sample) > 1 else None


def paired_t_test(ours: ArrayLike, theirs: ArrayLike) -> float | None:
    """Two-tailed p-value of equal means, where both systems were measured on the same partitions.

    This is our default: a partition that is hard for one system is hard for the other, and pairing takes that out.

    Args:
        ours: One value a partition.
        theirs: The same partitions, in the same order.

    Returns:
        p in [0, 1], or None with fewer than two partitions.

    Raises:
        InvalidArrayError: Another number of values, no values, or not finite.
    """
    first, second = _sample(ours), _sample(theirs)
    if len(first) != len(second):
        raise InvalidArrayError(
            f"paired t-test: got {len(first)} and {len(second)} values, expected one for each partition of both"
        )
    if len(first) < 2:
        return None
    difference = first - second
    if _constant(difference, first, second):
        return _p_without_variance(difference.mean(), first, second)
    return float(scipy.stats.ttest_rel(first, second).pvalue)


def independent_t_test(ours: ArrayLike, theirs: ArrayLike) -> float | None:
    """Two-tailed p-value of equal means by Student's test for independent samples of equal variance.

    The paper does not say which test it used; this is the other reading. It ignores that partitions are shared.

    Args:
        ours: One value a partition.
        theirs: One value a partition.

    Returns:
        p in [0, 1], or None with fewer than two values on a side.

    Raises:
        InvalidArrayError: No values, or not finite.
    """
    first, second = _sample(ours), _sample(theirs)
    if min(len(first), len(second)) < 2:
        return None
    if _constant(first, first, second) and _constant(second, first, second):
        return _p_without_variance(first.mean() - second.mean(), first, second)
    # From moments: on samples `ttest_ind` warns if just one of them is constant, although its answer is right.
    moments = (f(sample) for sample in (first, second) for f in (np.mean, lambda x: np.std(x, ddof=1), len))
    return float(scipy.stats.ttest_ind_from_stats(*moments, equal_var=True).pvalue)


def one_sample_t_test(values: ArrayLike, expected: float) -> float | None:
    """Two-tailed p-value of a mean that is expected, such as the chance level.

    Args:
        values: One value a partition.
        expected: The mean under the null hypothesis.

    Returns:
        p in [0, 1], or None with fewer than two values.

    Raises:
        InvalidArrayError: No values, or not finite.
    """
    return paired_t_test(values, np.full(len(_sample(values)), expected))


def star(p: float | None) -> str:
    """The paper's mark of significance: ``*`` below 0.05, else nothing."""
    return "*" if p is not None and p < SIGNIFICANT else ""


def _sample(values: ArrayLike) -> Floats:
    sample = np.asarray(values, dtype=np.float64)
    if sample.ndim != 1 or not len(sample) or not np.isfinite(sample).all():
        raise InvalidArrayError(f"sample: got {sample.tolist()}, expected a list of at least one finite number")
    return sample


def _tolerance(*samples: Floats) -> float:
    return RELATIVE * max(1.0, *(float(np.abs(sample).max()) for sample in samples))  # metrics are of order 1


def _constant(values: Floats, *samples: Floats) -> bool:
    return float(np.ptp(values)) <= _tolerance(*samples)


def _p_without_variance(difference: float, *samples: Floats) -> float:
    return 1.0 if abs(difference) <= _tolerance(*samples) else 0.0

"""Two-tailed t-tests over partitions (paper §4.4), defined also where SciPy returns NaN.

A test needs two values; with fewer, the functions return None. If values do not vary (within ``RELATIVE`` of their
magnitude), the formula is 0/0 or x/0. Then p is 1 if the means agree and 0 if they differ, which is the limit of p for
vanishing variance.
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
        The mean and the deviation; the deviation is None for a single value.

    Raises:
        InvalidArrayError: There are no values, they are not a flat list, or one is not finite.

    Example:
        >>> mean_and_deviation([1.0, 2.0, 3.0])
        (2.0, 1.0)
    """
    sample = _sample(values)
    return float(sample.mean()), float(sample.std(ddof=1)) if len(sample) > 1 else None


def paired_t_test(ours: ArrayLike, theirs: ArrayLike) -> float | None:
    """Two-tailed p-value of equal means of two systems that were measured on the same partitions.

    This is the default: a partition that is difficult for one system is difficult for the other, too, and pairing
    removes this common variation.

    Args:
        ours: One value per partition.
        theirs: One value per partition, in the same order.

    Returns:
        p in [0, 1], or None with fewer than two partitions.

    Raises:
        InvalidArrayError: The numbers of values differ, there are none, or one is not finite.
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

    The paper does not say which test it used; this one ignores that the partitions are shared.

    Args:
        ours: One value per partition.
        theirs: One value per partition.

    Returns:
        p in [0, 1], or None if either has fewer than two values.

    Raises:
        InvalidArrayError: There are no values, or one is not finite.
    """
    first, second = _sample(ours), _sample(theirs)
    if min(len(first), len(second)) < 2:
        return None
    if _constant(first, first, second) and _constant(second, first, second):
        return _p_without_variance(first.mean() - second.mean(), first, second)
    # From moments, because on samples `ttest_ind` warns if one of them is constant, although its result is correct.
    moments = (f(sample) for sample in (first, second) for f in (np.mean, lambda x: np.std(x, ddof=1), len))
    return float(scipy.stats.ttest_ind_from_stats(*moments, equal_var=True).pvalue)


def one_sample_t_test(values: ArrayLike, expected: float) -> float | None:
    """Two-tailed p-value of an expected mean, such as the chance level.

    Args:
        values: One value per partition.
        expected: The mean under the null hypothesis.

    Returns:
        p in [0, 1], or None with fewer than two values.

    Raises:
        InvalidArrayError: There are no values, or one is not finite.
    """
    return paired_t_test(values, np.full(len(_sample(values)), expected))


def star(p: float | None) -> str:
    """The paper's mark of significance: ``*`` if p < 0.05, else an empty string."""
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

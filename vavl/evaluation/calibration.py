"""Calibration of probabilities: reliability, expected calibration error and temperature scaling.

After Guo et al., "On Calibration of Modern Neural Networks" (ICML 2017). Legend: N clips, C classes.
"""

from typing import Annotated

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from vavl.config import StrictModel
from vavl.evaluation.predictions import Floats, matching
from vavl_runtime.errors import InvalidArrayError

BINS = 15
TEMPERATURES = (0.1, 10.0)
# Replaces a probability that a float32 softmax rounded to 0, so that it has a logarithm.
SMALLEST = float(np.finfo(np.float32).smallest_subnormal)

Share = Annotated[float, Field(ge=0, le=1 + 1e-3)]


class ReliabilityBin(StrictModel):
    """The clips whose confidence lies in one of several equal bins of (0, 1].

    Attributes:
        clips: Number of clips.
        confidence: Their mean confidence; None without clips.
        accuracy: The share that is predicted correctly; None without clips.
    """

    clips: int
    confidence: Share | None
    accuracy: Share | None


def reliability(probabilities: ArrayLike, target: ArrayLike, bins: int = BINS) -> tuple[ReliabilityBin, ...]:
    """Compare accuracy with confidence, which is the largest probability.

    Args:
        probabilities: Class probabilities, (N, C).
        target: Class shares, (N, C); the class with the largest share is correct (D17).
        bins: Number of bins; bin k is (k / bins, (k + 1) / bins].

    Returns:
        The bins, from low to high confidence.

    Raises:
        InvalidArrayError: See `matching`.

    Example:
        >>> last = reliability([[0.9, 0.1], [0.8, 0.2]], [[1, 0], [0, 1]], bins=2)[-1]
        >>> last.clips, last.accuracy
        (2, 0.5)
    """
    probabilities, target = matching(probabilities, target)
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == target.argmax(axis=1)
    slices = np.digitize(confidence, np.linspace(0, 1, bins + 1)[1:-1], right=True)
    entries = []
    for index in range(bins):
        inside = slices == index
        clips = int(inside.sum())
        entries.append(
            ReliabilityBin(
                clips=clips,
                confidence=float(confidence[inside].mean()) if clips else None,
                accuracy=float(right[inside].mean()) if clips else None,
            )
        )
    return tuple(entries)


def expected_calibration_error(probabilities: ArrayLike, target: ArrayLike, bins: int = BINS) -> float:
    """Absolute difference of confidence and accuracy per bin, averaged over clips. Arguments as `reliability`.

    Returns:
        The error in [0, 1].
    """
    entries = reliability(probabilities, target, bins)
    total = sum(entry.clips for entry in entries)
    return sum(
        entry.clips / total * abs(entry.accuracy - entry.confidence)
        for entry in entries
        if entry.accuracy is not None and entry.confidence is not None
    )


def negative_log_likelihood(probabilities: ArrayLike, target: ArrayLike, temperature: float = 1.0) -> float:
    """Mean of -log p(correct class) at a temperature.

    Args:
        probabilities: Class probabilities, (N, C).
        target: Class shares, (N, C); the class with the largest share is correct (D17).
        temperature: Divides the log-probabilities.

    Returns:
        Nats, finite.

    Raises:
        InvalidArrayError: As `matching`, or the temperature is not positive.
    """
    probabilities, target = matching(probabilities, target)
    scaled = log_softmax(_tempered(probabilities, temperature), axis=1)
    return float(-scaled[np.arange(len(scaled)), target.argmax(axis=1)].mean())


def fit_temperature(probabilities: ArrayLike, target: ArrayLike) -> float:
    """Fit the temperature that maximises the likelihood of the development set.

    The likelihood is log-concave in 1 / T, so the bounded search finds the only optimum. The bounds limit T for a
    development set without errors, whose optimum is T = 0. If scaling does not help, T is 1.

    Args:
        probabilities: Class probabilities of the development set, (N, C).
        target: Class shares, (N, C).

    Returns:
        The temperature T, within ``TEMPERATURES``.

    Raises:
        InvalidArrayError: See `matching`.
    """
    best = minimize_scalar(
        lambda logarithm: negative_log_likelihood(probabilities, target, float(np.exp(logarithm))),
        bounds=tuple(np.log(TEMPERATURES)),
        method="bounded",
    )
    return float(np.exp(best.x)) if best.fun < negative_log_likelihood(probabilities, target) else 1.0


def apply_temperature(probabilities: ArrayLike, temperature: float) -> Floats:
    """Sharpen (T < 1) or soften (T > 1) probabilities: p^(1/T), normalised, which is the softmax of logits / T.

    Args:
        probabilities: Class probabilities, (N, C).
        temperature: The temperature T, positive.

    Returns:
        Probabilities, float64, shape (N, C); the order of the classes does not change.

    Raises:
        InvalidArrayError: Not a finite (N, C), or the temperature is not positive.
    """
    probabilities, _ = matching(probabilities, probabilities)
    return np.asarray(softmax(_tempered(probabilities, temperature), axis=1), dtype=np.float64)


def _tempered(probabilities: Floats, temperature: float) -> Floats:
    if not (np.isfinite(temperature) and temperature > 0):
        raise InvalidArrayError(f"temperature: got {temperature}, expected a positive number")
    return np.log(np.maximum(probabilities, SMALLEST)) / temperature

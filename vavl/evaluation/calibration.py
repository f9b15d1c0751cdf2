"""Do probabilities mean what they say? Reliability, expected calibration error and temperature scaling.

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
# A probability that a float32 softmax rounded to 0 has a logarithm again.
SMALLEST = float(np.finfo(np.float32).smallest_subnormal)

Share = Annotated[float, Field(ge=0, le=1 + 1e-3)]


class ReliabilityBin(StrictModel):
    """The clips whose confidence falls into one of the equal slices of (0, 1].

    Attributes:
        clips: How many there are.
        confidence: Their mean confidence, or None if there are none.
        accuracy: The share of them that is right, or None if there are none.
    """

    clips: int
    confidence: Share | None
    accuracy: Share | None


def reliability(probabilities: ArrayLike, target: ArrayLike, bins: int = BINS) -> tuple[ReliabilityBin, ...]:
    """Compare confidence, the largest probability, with accuracy.

    Args:
        probabilities: (N, C).
        target: Class shares, (N, C); the largest one is right (D17).
        bins: Number of slices; slice k is (k / bins, (k + 1) / bins].

    Returns:
        One entry a slice, from low to high confidence.

    Raises:
        InvalidArrayError: See `matching`.
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
    """Distance between confidence and accuracy, averaged over clips. Arguments as `reliability`.

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
    """Mean of -log p(right class) at a temperature.

    Args:
        probabilities: (N, C).
        target: Class shares, (N, C); the largest one is right (D17).
        temperature: Divides the log-probabilities.

    Returns:
        Nats, finite.

    Raises:
        InvalidArrayError: See `matching`; or the temperature is not positive.
    """
    probabilities, target = matching(probabilities, target)
    scaled = log_softmax(_tempered(probabilities, temperature), axis=1)
    return float(-scaled[np.arange(len(scaled)), target.argmax(axis=1)].mean())


def fit_temperature(probabilities: ArrayLike, target: ArrayLike) -> float:
    """The temperature that makes the development set most likely.

    In 1 / T the likelihood is log-concave, so the bounded search finds the one optimum. The bounds keep a development
    set without a mistake, which asks for T = 0, from doing harm; where nothing is won T is 1.

    Args:
        probabilities: Of the development set, (N, C).
        target: Class shares, (N, C).

    Returns:
        T within ``TEMPERATURES``.

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
    """Sharpen (T < 1) or soften (T > 1): p^(1/T), normalised again, which is the softmax of logits / T.

    Args:
        probabilities: (N, C).
        temperature: T, positive.

    Returns:
        Probabilities, float64, shape (N, C); their order within a clip stays.

    Raises:
        InvalidArrayError: Not a finite (N, C), or the temperature is not positive.
    """
    probabilities, _ = matching(probabilities, probabilities)
    return np.asarray(softmax(_tempered(probabilities, temperature), axis=1), dtype=np.float64)


def _tempered(probabilities: Floats, temperature: float) -> Floats:
    if not (np.isfinite(temperature) and temperature > 0):
        raise InvalidArrayError(f"temperature: got {temperature}, expected a positive number")
    return np.log(np.maximum(probabilities, SMALLEST)) / temperature

"""How attribute scores agree with the annotations, on the annotation's scale: what CCC does not show.

CCC is low when predictions are unrelated to the annotations, and also when they follow them at a wrong mean or spread.
Correlation, mean and range tell which of these it is. Legend: N clips, C attributes.
"""

from typing import Annotated

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field

from vavl.config import StrictModel
from vavl.evaluation.predictions import matching

Clips = Annotated[int, Field(ge=0)]


class Agreement(StrictModel):
    """Predictions and annotations of one attribute, in the units of the annotation's scale.

    Attributes:
        r: Pearson's correlation, in [-1, 1]; None if the predictions or the annotations are constant.
        rmse: Root of the mean squared difference.
        mean: Mean of the predictions.
        annotated_mean: Mean of the annotations.
        lowest: Lowest prediction.
        highest: Highest prediction.
        off_scale: Number of predictions below or above the scale.
    """

    r: float | None
    rmse: float
    mean: float
    annotated_mean: float
    lowest: float
    highest: float
    off_scale: Clips


def agreement(prediction: ArrayLike, target: ArrayLike, scale: tuple[float, float]) -> tuple[Agreement, ...]:
    """Compare predicted and annotated attributes.

    Args:
        prediction: Attributes, where 0 is the lowest and 1 the highest score of the scale (not clamped), (N, C).
        target: Attributes in [0, 1], (N, C).
        scale: Lowest and highest score, such as (1, 5).

    Returns:
        One entry for each attribute.

    Raises:
        InvalidArrayError: See `vavl.evaluation.predictions.matching`.

    Example:
        >>> entry = agreement([[0.0], [1.5]], [[0.0], [1.0]], scale=(1, 5))[0]
        >>> entry.mean, entry.annotated_mean, entry.highest, entry.off_scale
        (4.0, 3.0, 7.0, 1)
    """
    prediction, target = matching(prediction, target)
    low, high = scale
    outside = ((prediction < 0) | (prediction > 1)).sum(axis=0)
    predicted, annotated = (low + (high - low) * values for values in (prediction, target))
    return tuple(
        Agreement(
            r=_correlation(ours, theirs),
            rmse=float(np.sqrt(np.square(ours - theirs).mean())),
            mean=float(ours.mean()),
            annotated_mean=float(theirs.mean()),
            lowest=float(ours.min()),
            highest=float(ours.max()),
            off_scale=int(count),
        )
        for ours, theirs, count in zip(predicted.T, annotated.T, outside, strict=True)
    )


def _correlation(ours: np.ndarray, theirs: np.ndarray) -> float | None:
    if np.ptp(ours) == 0 or np.ptp(theirs) == 0:
        return None
    return float(np.clip(np.corrcoef(ours, theirs)[0, 1], -1.0, 1.0))

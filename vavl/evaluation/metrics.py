"""Figures of merit of the paper (§4.4), computed once over a whole set in float64, never averaged over batches (D21).

Legend: N clips, C classes or attributes. Classes are compared by the largest share (D17).
"""

from collections.abc import Sequence

import numpy as np
import sklearn.metrics
from numpy.typing import ArrayLike, NDArray

from vavl.config import Task
from vavl.evaluation.predictions import Floats, matching


def path_metrics(task: Task, labels: Sequence[str], prediction: ArrayLike, target: ArrayLike) -> dict[str, float]:
    """All metrics of a task.

    Args:
        task: ``classification`` or ``regression``.
        labels: Class or attribute names, C of them.
        prediction: Class probabilities, or attributes in [0, 1], (N, C).
        target: Class shares, or attributes in [0, 1], (N, C).

    Returns:
        By the names that `metric_names` gives: the F1 scores in [0, 1], or the CCC of each attribute in [-1, 1].

    Raises:
        InvalidArrayError: See `matching`.
    """
    if task == "classification":
        values = [macro_f1(prediction, target), micro_f1(prediction, target)]
    else:
        values = concordance(prediction, target).tolist()
    return dict(zip(metric_names(task, labels), values, strict=True))


def metric_names(task: Task, labels: Sequence[str]) -> tuple[str, ...]:
    """Names of a task's metrics: ``macro_f1`` and ``micro_f1``, or ``ccc_`` and the attribute."""
    if task == "classification":
        return ("macro_f1", "micro_f1")
    return tuple(f"ccc_{label}" for label in labels)


def metric_title(metric: str) -> str:
    """How tables and plots call a metric: ``macro F1``, ``CCC arousal``."""
    return metric.replace("_f1", " F1").replace("ccc_", "CCC ")


def chance_level(metric: str, outputs: int) -> float | None:
    """What a metric is worth without looking at the clip.

    Args:
        metric: Name of the metric.
        outputs: Classes or attributes, C.

    Returns:
        1/C for macro F1: what uniform guessing comes to on balanced classes, and a bound that no constant answer
        exceeds, whatever the classes' shares. 0 for CCC: predictions that are independent of the target. None
        for micro F1, where naming the most frequent class may be worth anything.
    """
    if metric == "macro_f1":
        return 1.0 / outputs
    return 0.0 if metric.startswith("ccc_") else None


def macro_f1(prediction: ArrayLike, target: ArrayLike) -> float:
    """F1 averaged over all C classes, those without a clip included.

    A class that neither occurs nor is predicted counts as 0 (``zero_division=0``), so that every partition is
    measured by the same yardstick: leaving it out would make a partition that lacks a hard class look better.

    Args:
        prediction: Class probabilities, (N, C).
        target: Class shares, (N, C).

    Returns:
        The score in [0, 1].

    Raises:
        InvalidArrayError: See `matching`.
    """
    return _f1(prediction, target, "macro")


def micro_f1(prediction: ArrayLike, target: ArrayLike) -> float:
    """F1 over the pooled decisions; with one class a clip it is the accuracy. Arguments as `macro_f1`."""
    return _f1(prediction, target, "micro")


def _f1(prediction: ArrayLike, target: ArrayLike, average: str) -> float:
    prediction, target = matching(prediction, target)
    labels = np.arange(target.shape[1])
    return float(
        sklearn.metrics.f1_score(
            target.argmax(axis=1), prediction.argmax(axis=1), labels=labels, average=average, zero_division=0
        )
    )


def confusion_matrix(prediction: ArrayLike, target: ArrayLike) -> NDArray[np.int64]:
    """Count clips by true class (row) and predicted class (column).

    Args:
        prediction: Class probabilities, (N, C).
        target: Class shares, (N, C).

    Returns:
        Counts, int64, shape (C, C), with the sum N.

    Raises:
        InvalidArrayError: See `matching`.
    """
    prediction, target = matching(prediction, target)
    labels = np.arange(target.shape[1])
    counts = sklearn.metrics.confusion_matrix(target.argmax(axis=1), prediction.argmax(axis=1), labels=labels)
    return np.asarray(counts, dtype=np.int64)


def class_recall(confusion: ArrayLike) -> tuple[float | None, ...]:
    """Share of each class's clips that were recognised; None for a class without clips, which has no recall.

    Args:
        confusion: Counts by true and predicted class, (C, C).
    """
    counts = np.asarray(confusion)
    return tuple(int(row[index]) / total if (total := int(row.sum())) else None for index, row in enumerate(counts))


def concordance(prediction: ArrayLike, target: ArrayLike) -> Floats:
    """Concordance correlation coefficient of each attribute, with population variances (paper eq. 3).

    Defined everywhere: where prediction and target are both constant and equal, or there is one clip that is hit
    exactly, CCC is 0/0. That counts as 0, as for any other constant prediction: no agreement in variation was shown.

    Args:
        prediction: (N, C). CCC does not change if one affine map is applied to prediction and target, so [0, 1] and
            the annotation scale give the same. Magnitudes that float32 can hold are safe from overflow.
        target: (N, C).

    Returns:
        Float64 in [-1, 1], shape (C,).

    Raises:
        InvalidArrayError: See `matching`.
    """
    prediction, target = matching(prediction, target)
    predicted, expected = _centred(prediction), _centred(target)
    numerator = 2.0 * (predicted * expected).mean(axis=0)
    spread = np.square(predicted).mean(axis=0) + np.square(expected).mean(axis=0)
    denominator = spread + np.square((prediction - target).mean(axis=0))
    concordances: Floats = np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator > 0)
    return concordances


def _centred(values: Floats) -> Floats:
    shifted = values - values[0]  # a constant becomes exactly 0, which subtracting its rounded mean would not give
    centred: Floats = shifted - shifted.mean(axis=0)
    return centred

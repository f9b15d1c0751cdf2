"""The metrics of the paper (§4.4), computed over a whole set in float64 and not averaged over batches (D21).

Legend: N clips, C classes or attributes. The class with the largest share is the correct one (D17).
"""

from collections.abc import Sequence

import numpy as np
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
        By the names of `metric_names`: F1 scores in [0, 1], or the CCC of each attribute in [-1, 1].

    Raises:
        InvalidArrayError: See `matching`.
    """
    if task == "classification":
        values = [macro_f1(prediction, target), micro_f1(prediction, target)]
    else:
        values = concordance(prediction, target).tolist()
    return dict(zip(metric_names(task, labels), values, strict=True))


def metric_names(task: Task, labels: Sequence[str]) -> tuple[str, ...]:
    """Names of a task's metrics: ``macro_f1`` and ``micro_f1``, or ``ccc_<attribute>`` for each attribute."""
    if task == "classification":
        return ("macro_f1", "micro_f1")
    return tuple(f"ccc_{label}" for label in labels)


def metric_title(metric: str) -> str:
    """Title of a metric in tables and plots: ``macro F1``, ``CCC arousal``."""
    return metric.replace("_f1", " F1").replace("ccc_", "CCC ")


def chance_level(metric: str, outputs: int) -> float | None:
    """The value of a metric for predictions that ignore the clip.

    Args:
        metric: Name of the metric.
        outputs: Number of classes or attributes, C.

    Returns:
        1/C for macro F1: the value of uniform guessing on balanced classes, which no constant prediction exceeds for
        any class shares. 0 for CCC: predictions independent of the target. None for micro F1, because always
        predicting the most frequent class can give any value.
    """
    if metric == "macro_f1":
        return 1.0 / outputs
    return 0.0 if metric.startswith("ccc_") else None


def macro_f1(prediction: ArrayLike, target: ArrayLike) -> float:
    """F1 averaged over all C classes, including classes without a clip.

    A class that neither occurs nor is predicted counts as 0 (``zero_division=0``). Leaving it out would favour
    partitions that lack a difficult class.

    Args:
        prediction: Class probabilities, (N, C).
        target: Class shares, (N, C).

    Returns:
        The score in [0, 1].

    Raises:
        InvalidArrayError: See `matching`.

    Example:
        >>> macro_f1([[0.9, 0.1], [0.2, 0.8]], [[1, 0], [0, 1]])
        1.0
    """
    return _f1(prediction, target, "macro")


def micro_f1(prediction: ArrayLike, target: ArrayLike) -> float:
    """F1 over all decisions together, which equals the accuracy. Arguments as `macro_f1`."""
    return _f1(prediction, target, "micro")


def _f1(prediction: ArrayLike, target: ArrayLike, average: str) -> float:
    import sklearn.metrics  # takes seconds, and most that import this module never score classes

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
    import sklearn.metrics  # see `_f1`

    prediction, target = matching(prediction, target)
    labels = np.arange(target.shape[1])
    counts = sklearn.metrics.confusion_matrix(target.argmax(axis=1), prediction.argmax(axis=1), labels=labels)
    return np.asarray(counts, dtype=np.int64)


def class_recall(confusion: ArrayLike) -> tuple[float | None, ...]:
    """Recall of each class; None for a class without clips.

    Args:
        confusion: Counts by true and predicted class, (C, C).
    """
    counts = np.asarray(confusion)
    return tuple(int(row[index]) / total if (total := int(row.sum())) else None for index, row in enumerate(counts))


def concordance(prediction: ArrayLike, target: ArrayLike) -> Floats:
    """Concordance correlation coefficient of each attribute, with population variances (paper eq. 3).

    If prediction and target are constant and equal, or there is only one clip and it is predicted exactly, CCC is 0/0.
    This counts as 0, like any other constant prediction.

    Args:
        prediction: Attributes, (N, C). CCC does not change if the same affine map is applied to prediction and target,
            so [0, 1] and the annotation scale give the same result. Any float32 magnitude is safe from overflow.
        target: Attributes, (N, C).

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
    shifted = values - values[0]  # a constant becomes exactly 0; subtracting its rounded mean would not
    centred: Floats = shifted - shifted.mean(axis=0)
    return centred

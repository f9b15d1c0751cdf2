"""Predictions of a system with their targets: all reported numbers are computed from these.

Legend: N clips, C classes or attributes.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import PlainSerializer, PlainValidator, model_validator
from typing_extensions import Self

from vavl.config import StrictModel, Task
from vavl.evaluation.record import JsonRecord
from vavl_runtime.bundle.manifest import PathName
from vavl_runtime.errors import InvalidArrayError

PATHS: tuple[PathName, ...] = ("audio_visual", "audio", "visual")
Floats = NDArray[np.float64]

SHARES_TOLERANCE = 1e-3  # because vote shares in label files are rounded to three decimals


def matching(prediction: ArrayLike, target: ArrayLike) -> tuple[Floats, Floats]:
    """Check predictions and targets, and convert both to float64.

    Args:
        prediction: (N, C), N and C at least 1, finite.
        target: The same shape, finite.

    Raises:
        InvalidArrayError: The values are not numbers, the shapes differ or are not (N, C), or a value is not finite.
    """
    arrays = _float64(prediction), _float64(target)
    shapes = tuple(array.shape for array in arrays)
    if shapes[0] != shapes[1] or len(shapes[0]) != 2 or 0 in shapes[0]:
        raise InvalidArrayError(
            f"predictions and targets: got shapes {shapes[0]} and {shapes[1]}, expected the same (clips, outputs), "
            "neither of them 0"
        )
    for name, array in zip(("prediction", "target"), arrays, strict=True):
        if len(rows := np.flatnonzero(~np.isfinite(array).all(axis=1))):
            raise InvalidArrayError(
                f"{name}: got NaN or infinity in {len(rows)} of {len(array)} rows, first in row {rows[0]}; "
                "expected finite numbers; check whether training diverged or features hold NaN"
            )
    return arrays


def _float64(values: Any) -> Floats:
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidArrayError(f"predictions or targets: not a rectangular array of numbers ({error})") from error


Array = Annotated[Floats, PlainValidator(_float64), PlainSerializer(lambda array: array.tolist(), list)]


@dataclass(frozen=True, eq=False)
class PathPredictions:
    """One path's predictions for the clips of one split.

    Attributes:
        clips: Ids of the clips, distinct.
        prediction: Class probabilities, or attributes in [0, 1] (not clamped), float64, shape (N, C).
        target: Class shares, or attributes in [0, 1], float64, shape (N, C).

    Raises:
        InvalidArrayError: As `matching`, or there are not N distinct ids.
    """

    clips: tuple[str, ...]
    prediction: Array
    target: Array

    def __post_init__(self) -> None:
        prediction, target = matching(self.prediction, self.target)
        object.__setattr__(self, "prediction", prediction)
        object.__setattr__(self, "target", target)
        if len(self.clips) != len(prediction):
            raise InvalidArrayError(f"predictions: got {len(self.clips)} clip ids for {len(prediction)} rows")
        if twice := [clip for clip, count in Counter(self.clips).items() if count > 1]:
            raise InvalidArrayError(
                f"predictions: {len(twice)} clips occur more than once, first {twice[0]!r}; predict each clip once"
            )

    def check(self, task: Task, outputs: int) -> None:
        """Check that the predictions fit a task.

        Args:
            task: For ``classification``, each row must be shares: not negative, with the sum 1.
            outputs: Number of classes or attributes, C.

        Raises:
            InvalidArrayError: The number of outputs differs, or a row is not shares.
        """
        if self.prediction.shape[1] != outputs:
            raise InvalidArrayError(f"predictions: got {self.prediction.shape[1]} columns, the corpus has {outputs}")
        if task == "regression":
            return
        for name, shares in (("prediction", self.prediction), ("target", self.target)):
            wrong = (shares < 0).any(axis=1) | (np.abs(shares.sum(axis=1) - 1) > SHARES_TOLERANCE)
            if wrong.any():
                row = int(np.flatnonzero(wrong)[0])
                raise InvalidArrayError(
                    f"{name} of clip {self.clips[row]!r}: got {shares[row].tolist()}, expected shares of classes "
                    "that sum to 1; pass probabilities, not logits"
                )


class SplitPredictions(StrictModel):
    """One path's predictions for the development and the test set."""

    development: PathPredictions
    test: PathPredictions


class Speakers(StrictModel):
    """Speakers of each split; no speaker is in two."""

    train: tuple[str, ...]
    development: tuple[str, ...]
    test: tuple[str, ...]

    @model_validator(mode="after")
    def _apart(self) -> Self:
        counts = Counter([*{*self.train}, *{*self.development}, *{*self.test}])
        if shared := sorted(speaker for speaker, count in counts.items() if count > 1):
            raise ValueError(f"speakers {shared} are in more than one split; partition by speaker")
        return self


class PartitionPredictions(StrictModel):
    """All predictions of one partition.

    Attributes:
        name: Name of the partition in reports.
        speakers: Speakers of each split.
        paths: Predictions by path; a path without clips is left out.
    """

    name: str
    speakers: Speakers
    paths: dict[PathName, SplitPredictions]


class CorpusPredictions(JsonRecord):
    """Predictions for every partition of a corpus; a report can be built from this record alone.

    Attributes:
        corpus: Name of the corpus.
        task: ``classification`` or ``regression``.
        labels: Class or attribute names, in the order of the columns.
        partitions: At least one, with distinct names.
        scale: Lowest and highest attribute score of the annotations, which 0 and 1 stand for; None for classes.

    Raises:
        InvalidArrayError: Predictions do not fit task and labels.
    """

    indent: ClassVar[int | None] = None

    corpus: str
    task: Task
    labels: tuple[str, ...]
    partitions: tuple[PartitionPredictions, ...]
    scale: tuple[float, float] | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        names = [partition.name for partition in self.partitions]
        if not names or len(set(names)) < len(names):
            raise ValueError(f"partitions: got the names {names}, expected at least one and each once")
        for partition in self.partitions:
            for splits in partition.paths.values():
                splits.development.check(self.task, len(self.labels))
                splits.test.check(self.task, len(self.labels))
        return self

"""Collects the answers of a clip's windows and settles which path speaks for the clip."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vavl_runtime.bundle.manifest import Manifest, PathName
from vavl_runtime.result import Prediction


@dataclass
class _Sum:
    seconds: float = 0.0
    prediction: NDArray[np.float64] | float = 0.0
    embedding: NDArray[np.float64] | float = 0.0

    def add(self, seconds: float, prediction: NDArray[Any], embedding: NDArray[Any]) -> None:
        self.seconds += seconds
        self.prediction = self.prediction + seconds * prediction.astype(np.float64)
        self.embedding = self.embedding + seconds * embedding.astype(np.float64)


@dataclass
class PathPredictions:
    """Means over windows, weighted by their length, one for each path.

    A window speaks by the richest path it allows: that is its turn. With all paths asked for, it also answers by
    the poorer ones, which never changes the answer of the path that speaks for the clip.
    """

    _turns: dict[PathName, _Sum] = field(default_factory=dict)
    _extra: dict[PathName, _Sum] = field(default_factory=dict)

    def add(self, path: PathName, seconds: float, output: dict[str, NDArray[Any]], *, turn: bool = True) -> None:
        """Add one window.

        Args:
            path: The path that answered.
            seconds: Length of the window.
            output: ``prediction`` (1, C) and ``embedding`` (1, D) of the path's graph.
            turn: Whether this is the richest path of the window.
        """
        sums = self._turns if turn else self._extra
        weight = max(seconds, 1e-3)  # a still picture has no length but counts
        sums.setdefault(path, _Sum()).add(weight, output["prediction"][0], output["embedding"][0])

    @property
    def path(self) -> PathName | None:
        """The path that speaks for the clip: the one with the longest turns, the richer one if they are equal."""
        order: tuple[PathName, ...] = ("audio_visual", "audio", "visual")
        turns = {path: self._turns[path].seconds for path in order if path in self._turns}
        return max(turns, key=lambda path: turns[path], default=None)

    def finish(self, manifest: Manifest) -> dict[PathName, Prediction]:
        """Turn the means into answers, by path."""
        answers: dict[PathName, Prediction] = {}
        for path in self._turns.keys() | self._extra.keys():
            total = self._turns.get(path, _Sum())
            extra = self._extra.get(path)
            if extra is not None and path != self.path:
                total = _Sum(
                    total.seconds + extra.seconds,
                    total.prediction + extra.prediction,
                    total.embedding + extra.embedding,
                )
            answers[path] = _answer(manifest, total)
        return answers


def _answer(manifest: Manifest, total: _Sum) -> Prediction:
    prediction = np.asarray(total.prediction) / total.seconds
    scores = {name: float(value) for name, value in zip(manifest.labels, prediction, strict=True)}
    label = max(scores, key=lambda name: scores[name]) if manifest.task == "classification" else None
    return Prediction(label, scores, np.asarray(total.embedding / total.seconds, np.float32))

"""Collects the answers of a clip's windows and settles which path speaks for the clip."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vavl_runtime.manifest import Manifest, PathName
from vavl_runtime.result import Answer


@dataclass
class _Sum:
    seconds: float = 0.0
    prediction: NDArray[np.float64] | float = 0.0
    embedding: NDArray[np.float64] | float = 0.0


@dataclass
class PathAnswers:
    """Means over windows, weighted by their length, one for each path."""

    _sums: dict[PathName, _Sum] = field(default_factory=dict)

    def add(self, path: PathName, seconds: float, output: dict[str, NDArray[Any]]) -> None:
        """Add one window.

        Args:
            path: The path that answered.
            seconds: Length of the window.
            output: ``prediction`` (1, C) and ``embedding`` (1, D) of the path's graph.
        """
        weight = max(seconds, 1e-3)  # a still picture has no length but counts
        total = self._sums.setdefault(path, _Sum())
        total.seconds += weight
        total.prediction = total.prediction + weight * output["prediction"][0].astype(np.float64)
        total.embedding = total.embedding + weight * output["embedding"][0].astype(np.float64)

    @property
    def path(self) -> PathName | None:
        """The path that speaks for the clip: audio-visual if ever possible, else the one heard or seen longer."""
        if "audio_visual" in self._sums:
            return "audio_visual"
        return max(self._sums, key=lambda path: self._sums[path].seconds, default=None)

    def finish(self, manifest: Manifest) -> dict[PathName, Answer]:
        """Turn the means into answers, by path."""
        return {path: _answer(manifest, total) for path, total in self._sums.items()}


def _answer(manifest: Manifest, total: _Sum) -> Answer:
    prediction = np.asarray(total.prediction) / total.seconds
    scores = {name: float(value) for name, value in zip(manifest.labels, prediction, strict=True)}
    label = max(scores, key=lambda name: scores[name]) if manifest.task == "classification" else None
    return Answer(label, scores, np.asarray(total.embedding / total.seconds, np.float32))

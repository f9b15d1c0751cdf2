"""Averages the predictions of a clip's windows, and decides which path gives the clip's result."""

from dataclasses import dataclass, field
from typing import Any, get_args

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

    Each window uses every modality it has: that is its chosen path. The clip's result comes from the path that was
    chosen for the most time. If all paths are asked for, a window with both modalities also runs the unimodal paths;
    their predictions are extra and never change the clip's result.
    """

    _chosen: dict[PathName, _Sum] = field(default_factory=dict)
    _extra: dict[PathName, _Sum] = field(default_factory=dict)

    def add(self, path: PathName, seconds: float, output: dict[str, NDArray[Any]], *, chosen: bool = True) -> None:
        """Add one window.

        Args:
            path: The path that ran.
            seconds: Length of the window.
            output: ``prediction`` (1, C) and ``embedding`` (1, D) of the path's graph.
            chosen: Whether this path uses every modality that the window has.
        """
        sums = self._chosen if chosen else self._extra
        weight = max(seconds, 1e-3)  # a still picture has no length but counts
        sums.setdefault(path, _Sum()).add(weight, output["prediction"][0], output["embedding"][0])

    @property
    def path(self) -> PathName | None:
        """The path chosen for the most time; of equal ones, the one with more modalities, then audio."""
        order: tuple[PathName, ...] = ("audio_visual", "audio", "visual")
        seconds = {path: self._chosen[path].seconds for path in order if path in self._chosen}
        return max(seconds, key=lambda path: seconds[path], default=None)

    def finish(self, manifest: Manifest) -> dict[PathName, Prediction]:
        """Turn the means into predictions, by path: the audio-visual one, audio, visual, of those that ran."""
        predictions: dict[PathName, Prediction] = {}
        paths: tuple[PathName, ...] = get_args(PathName)
        for path in paths:
            if path not in self._chosen and path not in self._extra:
                continue
            total = self._chosen.get(path, _Sum())
            extra = self._extra.get(path)
            if extra is not None and path != self.path:
                total = _Sum(
                    total.seconds + extra.seconds,
                    total.prediction + extra.prediction,
                    total.embedding + extra.embedding,
                )
            predictions[path] = _prediction(manifest, total)
        return predictions


def _prediction(manifest: Manifest, total: _Sum) -> Prediction:
    means = np.asarray(total.prediction) / total.seconds
    scores = {name: float(value) for name, value in zip(manifest.labels, means, strict=True)}
    label = max(scores, key=lambda name: scores[name]) if manifest.task == "classification" else None
    return Prediction(label, scores, np.asarray(total.embedding / total.seconds, np.float32))

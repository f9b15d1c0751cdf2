"""Runs clips through a bundle in several mixes of precisions; each clip is decoded and searched for faces once."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from vavl.corpora import Clip
from vavl.features.extract import read_clip
from vavl_export.precision.sessions import RunMode
from vavl_runtime.backends.base import Arrays as Inputs
from vavl_runtime.bundle.golden import Arrays
from vavl_runtime.bundle.manifest import Manifest, PathName, Precision
from vavl_runtime.pipeline.aggregate import PathPredictions

Execution = tuple[Precision, RunMode | Literal["target"]]  # for targets see `vavl_export.precision.target_device`
FP32: Execution = ("fp32", "run")
PATHS: tuple[PathName, ...] = ("audio", "visual", "audio_visual")
ENCODERS = ("audio_encoder", "face_encoder")


class OpenedGraph(Protocol):
    """A graph that is ready to run."""

    def run(self, inputs: Arrays) -> Arrays:
        """Run the graph; outputs come by name."""


OpenGraph = Callable[[str, Execution], OpenedGraph]


@dataclass(frozen=True)
class PrecisionMix:
    """How each encoder runs, and the path behind them."""

    audio_encoder: Execution = FP32
    face_encoder: Execution = FP32
    path: Execution = FP32

    @staticmethod
    def uniform(execution: Execution) -> "PrecisionMix":
        """Run encoders and path alike."""
        return PrecisionMix(execution, execution, execution)


@dataclass(frozen=True)
class MixedPredictions:
    """What every mix predicts for one clip.

    Attributes:
        seconds: Length of the clip, seconds.
        scores: Scores in the order of the bundle's labels, by path that the clip allows, and mix.
    """

    seconds: float
    scores: dict[tuple[PathName, PrecisionMix], tuple[float, ...]]


class MixedGraphs:
    """The graphs of a bundle, open in every precision that a mix needs.

    Args:
        manifest: Manifest of the bundle.
        mixes: The mixes to predict in.
        open_graph: Opens a graph for an execution.
    """

    def __init__(self, manifest: Manifest, mixes: Sequence[PrecisionMix], open_graph: OpenGraph) -> None:
        self._manifest = manifest
        self._mixes = mixes
        self._encoders = {
            encoder: {how: open_graph(encoder, how) for how in dict.fromkeys(getattr(mix, encoder) for mix in mixes)}
            for encoder in ENCODERS
        }
        self._paths = {
            path: {how: open_graph(path, how) for how in dict.fromkeys(mix.path for mix in mixes)} for path in PATHS
        }
        self._detector = {name: open_graph(name, FP32) for name in ("pnet", "rnet", "onet")}

    def predict(self, clip: Clip) -> MixedPredictions:
        """Predict for a clip by every path that it allows, in every mix.

        Args:
            clip: The clip; its label is not used.

        Returns:
            The predictions.

        Raises:
            InputError: A file cannot be read.
        """
        predictions: dict[tuple[PathName, PrecisionMix], PathPredictions] = defaultdict(PathPredictions)
        seconds = 0.0
        for window in read_clip(clip, self._run, self._manifest.crop, self._manifest.limits).windows:
            durations = {"audio": window.audio_seconds, "visual": window.visual_seconds}
            seconds += max(durations.values())
            features = {
                "audio": self._by_execution("audio_encoder", window.audio),
                "visual": self._by_execution("face_encoder", window.visual),
            }
            for path in PATHS:
                needed = ("audio", "visual") if path == "audio_visual" else (path,)
                if not all(features[modality] for modality in needed):
                    continue
                duration = max(durations[modality] for modality in needed)
                for mix in self._mixes:
                    fed = _path_inputs(mix, {modality: features[modality] for modality in needed})
                    predictions[path, mix].add(path, duration, self._paths[path][mix.path].run(fed))
        scores = {
            (path, mix): tuple(found.finish(self._manifest)[path].scores.values())
            for (path, mix), found in predictions.items()
        }
        return MixedPredictions(seconds, scores)

    def _run(self, name: str, inputs: Inputs) -> dict[str, NDArray[Any]]:
        """Run a graph for the clip reader.

        The reader only cuts and joins features along time. So an encoder's features in all precisions can lie side by
        side in one array.
        """
        fed = dict(inputs)
        if name in self._detector:
            return self._detector[name].run(fed)
        outputs = [graph.run(fed) for graph in self._encoders[name].values()]
        features = "audio_features" if name == "audio_encoder" else "face_features"
        return outputs[0] | {features: np.concatenate([output[features] for output in outputs], axis=-1)}

    def _by_execution(self, encoder: str, values: NDArray[np.float32] | None) -> dict[Execution, NDArray[np.float32]]:
        """Separate the features that `_run` joined; an empty result if there are none."""
        if values is None:
            return {}
        executions = self._encoders[encoder]
        return dict(zip(executions, np.split(values, len(executions), axis=-1), strict=True))


def _path_inputs(mix: PrecisionMix, features: dict[str, dict[Execution, NDArray[np.float32]]]) -> Arrays:
    """The inputs of a path for one clip: features of the encoders that the mix names, and their lengths."""
    executions = {"audio": mix.audio_encoder, "visual": mix.face_encoder}
    fed: Arrays = {}
    for modality, by_execution in features.items():
        values = by_execution[executions[modality]]
        fed[f"{modality}_features"] = values[None]
        fed[f"{modality}_lengths"] = np.array([len(values)], np.int64)
    return fed

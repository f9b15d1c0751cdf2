"""Answers of a bundle in any mix of precisions: each clip is decoded and searched for faces once."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from vavl.corpora import Clip
from vavl.features.extract import read_clip
from vavl_export.golden import Arrays
from vavl_export.precision.sessions import How
from vavl_runtime.backends.base import Arrays as Inputs
from vavl_runtime.bundle.manifest import Manifest, PathName, Precision
from vavl_runtime.pipeline.aggregate import PathPredictions

Way = tuple[Precision, How | Literal["target"]]  # a target: see `vavl_export.precision.target_device`
FP32: Way = ("fp32", "run")
PATHS: tuple[PathName, ...] = ("audio", "visual", "audio_visual")
ENCODERS = ("audio_encoder", "face_encoder")


class OpenedGraph(Protocol):
    """A graph that is open in some way."""

    def run(self, inputs: Arrays) -> Arrays:
        """Run it; outputs come by name."""


OpenGraph = Callable[[str, Way], OpenedGraph]


@dataclass(frozen=True)
class Mix:
    """How the encoders run, and the paths behind them."""

    audio_encoder: Way = FP32
    face_encoder: Way = FP32
    path: Way = FP32

    @staticmethod
    def uniform(way: Way) -> "Mix":
        """Everything one way."""
        return Mix(way, way, way)


@dataclass(frozen=True)
class MixedAnswers:
    """What every mix says about one clip.

    Attributes:
        seconds: Length of what was answered.
        scores: By path that the clip allows, and mix; in the order of the bundle's labels.
    """

    seconds: float
    scores: dict[tuple[PathName, Mix], tuple[float, ...]]


class MixedGraphs:
    """The graphs of a bundle, open in every way that some mix needs.

    Args:
        manifest: The bundle's.
        mixes: Those to answer in.
        open_graph: Opens a graph in a way.
    """

    def __init__(self, manifest: Manifest, mixes: Sequence[Mix], open_graph: OpenGraph) -> None:
        self._manifest = manifest
        self._mixes = mixes
        self._encoders = {
            encoder: {way: open_graph(encoder, way) for way in dict.fromkeys(getattr(mix, encoder) for mix in mixes)}
            for encoder in ENCODERS
        }
        self._paths = {
            path: {way: open_graph(path, way) for way in dict.fromkeys(mix.path for mix in mixes)} for path in PATHS
        }
        self._detector = {name: open_graph(name, FP32) for name in ("pnet", "rnet", "onet")}

    def answer(self, clip: Clip) -> MixedAnswers:
        """Answer a clip by every path that it allows, in every mix.

        Args:
            clip: The clip; its label does not matter.

        Returns:
            The answers.

        Raises:
            InputError: A file cannot be read.
        """
        answers: dict[tuple[PathName, Mix], PathPredictions] = defaultdict(PathPredictions)
        seconds = 0.0
        for window in read_clip(clip, self._run, self._manifest.crop, self._manifest.limits).windows:
            lasts = {"audio": window.audio_seconds, "visual": window.visual_seconds}
            seconds += max(lasts.values())
            features = {
                "audio": self._by_way("audio_encoder", window.audio),
                "visual": self._by_way("face_encoder", window.visual),
            }
            for path in PATHS:
                needed = ("audio", "visual") if path == "audio_visual" else (path,)
                if not all(features[modality] for modality in needed):
                    continue
                for mix in self._mixes:
                    fed: Arrays = {}
                    for modality, way in (("audio", mix.audio_encoder), ("visual", mix.face_encoder)):
                        if modality in needed:
                            values = features[modality][way]
                            fed[f"{modality}_features"] = values[None]
                            fed[f"{modality}_lengths"] = np.array([len(values)], np.int64)
                    longest = max(lasts[modality] for modality in needed)
                    answers[path, mix].add(path, longest, self._paths[path][mix.path].run(fed))
        scores = {
            (path, mix): tuple(found.finish(self._manifest)[path].scores.values())
            for (path, mix), found in answers.items()
        }
        return MixedAnswers(seconds, scores)

    def _run(self, name: str, inputs: Inputs) -> dict[str, NDArray[Any]]:
        """Run a graph for the reader, which only cuts and joins features along time.

        So those of all ways can lie side by side in one array.
        """
        fed = dict(inputs)
        if name in self._detector:
            return self._detector[name].run(fed)
        outputs = [graph.run(fed) for graph in self._encoders[name].values()]
        features = "audio_features" if name == "audio_encoder" else "face_features"
        return outputs[0] | {features: np.concatenate([output[features] for output in outputs], axis=-1)}

    def _by_way(self, encoder: str, values: NDArray[np.float32] | None) -> dict[Way, NDArray[np.float32]]:
        """Take the features apart again; nothing if there are none."""
        if values is None:
            return {}
        ways = self._encoders[encoder]
        return dict(zip(ways, np.split(values, len(ways), axis=-1), strict=True))

"""One pass over one clip, window by window.

decode ─ sound → 16 kHz mono ──────────────────→ audio_encoder ─┐
       └ frames → detect, track, crop 224 ─────→ face_encoder ──┴→ audio | visual | audio_visual

The two branches run one after the other, or at the same time where the backend gains by it.
"""

import contextlib
from functools import partial
from typing import Any

from numpy.typing import NDArray

from vavl_runtime.bundle.manifest import PathName
from vavl_runtime.pipeline.aggregate import PathPredictions
from vavl_runtime.pipeline.context import ClipContext
from vavl_runtime.pipeline.feature_reader import FeatureReader, Features
from vavl_runtime.pipeline.graph_runner import GraphRunner


class InferencePass:
    """Reads a clip once and predicts.

    Args:
        graphs: The bundle's graphs.
        context: The clip, and how to read it.
        all_paths: Where a window has both modalities, run the unimodal paths too.

    Attributes:
        predictions: What the paths gave so far.
    """

    def __init__(self, graphs: GraphRunner, context: ClipContext, *, all_paths: bool) -> None:
        self._run = partial(graphs.run, timer=context.timer)
        self._timer = context.timer
        self._all_paths = all_paths
        self._features = FeatureReader(context, self._run, overlap=graphs.backend.overlaps)
        self.predictions = PathPredictions()

    @property
    def duration_s(self) -> float:
        """Length of what has been read, seconds."""
        return self._features.duration_s

    def run(self) -> None:
        """Predict every window.

        Raises:
            ModalityFaultError: The sound or the picture is broken.
        """
        with contextlib.closing(self._features.windows()) as windows:
            for audio, visual in windows:
                with self._timer.stage("path"):
                    self._predict(audio, visual)

    def _predict(self, audio: Features | None, visual: Features | None) -> None:
        both = audio is not None and visual is not None
        if audio is not None and visual is not None:
            seconds = max(audio.seconds, visual.seconds)
            self._add("audio_visual", seconds, audio.inputs("audio") | visual.inputs("visual"), chosen=True)
            if not self._all_paths:
                return
        if audio is not None:
            self._add("audio", audio.seconds, audio.inputs("audio"), chosen=not both)
        if visual is not None:
            self._add("visual", visual.seconds, visual.inputs("visual"), chosen=not both)

    def _add(self, path: PathName, seconds: float, inputs: dict[str, NDArray[Any]], *, chosen: bool) -> None:
        self.predictions.add(path, seconds, self._run(path, inputs), chosen=chosen)

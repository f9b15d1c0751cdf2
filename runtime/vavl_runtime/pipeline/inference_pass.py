"""One pass over one clip, window by window.

decode ─ sound → 16 kHz mono ──────────────────→ audio_encoder ─┐
       └ frames → detect, track, crop 224 ─────→ face_encoder ──┴→ audio | visual | audio_visual

The two branches run one after the other, or at the same time where the backend gains by it.
"""

import contextlib
from functools import partial

from vavl_runtime.pipeline.aggregate import PathPredictions
from vavl_runtime.pipeline.context import ClipContext
from vavl_runtime.pipeline.feature_reader import FeatureReader
from vavl_runtime.pipeline.graph_runner import GraphRunner
from vavl_runtime.pipeline.path_runs import path_runs


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
        self._features = FeatureReader(
            context,
            self._run,
            overlap=graphs.backend.overlaps,
            face_batch=partial(graphs.face_batch, context.timer),
        )
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
                    for run in path_runs(audio, visual, all_paths=self._all_paths):
                        output = self._run(run.path, run.inputs)
                        self.predictions.add(run.path, run.seconds, output, chosen=run.chosen)

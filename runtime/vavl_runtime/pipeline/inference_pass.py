"""One pass over one clip, window by window.

decode ─ sound → 16 kHz mono ──────────────────→ audio_encoder ─┐
       └ frames → detect, track, crop 224 ─────→ face_encoder ──┴→ audio | visual | audio_visual

The two branches run one after the other, or at the same time on a backend that gains by it.
"""

import contextlib
from typing import Any

from numpy.typing import NDArray

from vavl_runtime.bundle.manifest import CropRecipe, PathName
from vavl_runtime.media import Source
from vavl_runtime.pipeline.aggregate import PathPredictions
from vavl_runtime.pipeline.availability import Presence
from vavl_runtime.pipeline.feature_reader import FeatureReader, Features
from vavl_runtime.pipeline.graph_runner import GraphRunner
from vavl_runtime.timing import StageTimer


class InferencePass:
    """Reads a clip once and answers.

    Args:
        graphs: The bundle's graphs.
        source: The clip.
        presence: Which modalities to look at; what is found is noted there.
        timer: Where time is booked.
        crop: How faces are found and cut out.
        stride: Every n-th frame is looked at.
        all_paths: With both modalities in a window, ask the unimodal paths too.
    """

    def __init__(
        self,
        graphs: GraphRunner,
        source: Source,
        presence: Presence,
        timer: StageTimer,
        *,
        crop: CropRecipe,
        stride: int,
        all_paths: bool,
    ) -> None:
        self._graphs = graphs
        self._timer = timer
        self._all_paths = all_paths
        self._features = FeatureReader(
            lambda name, stage, inputs: graphs.run(name, timer, stage, inputs),
            crop,
            graphs.bundle.manifest.limits,
            source,
            presence,
            timer,
            stride=stride,
            overlap=graphs.backend.overlaps,
        )
        self.answers = PathPredictions()

    @property
    def duration_s(self) -> float:
        """Length of what has been read, seconds."""
        return self._features.duration_s

    def run(self) -> None:
        """Answer every window.

        Raises:
            ModalityFaultError: The sound or the picture is broken.
        """
        with contextlib.closing(self._features.windows()) as windows:
            for audio, visual in windows:
                with self._timer.stage("path"):
                    self._answer(audio, visual)

    def _answer(self, audio: Features | None, visual: Features | None) -> None:
        both = audio is not None and visual is not None
        if audio is not None and visual is not None:
            seconds = max(audio.seconds, visual.seconds)
            self._ask("audio_visual", seconds, audio.inputs("audio") | visual.inputs("visual"), turn=True)
            if not self._all_paths:
                return
        if audio is not None:
            self._ask("audio", audio.seconds, audio.inputs("audio"), turn=not both)
        if visual is not None:
            self._ask("visual", visual.seconds, visual.inputs("visual"), turn=not both)

    def _ask(self, path: PathName, seconds: float, inputs: dict[str, NDArray[Any]], *, turn: bool) -> None:
        self.answers.add(path, seconds, self._graphs.run(path, self._timer, "path", inputs), turn=turn)

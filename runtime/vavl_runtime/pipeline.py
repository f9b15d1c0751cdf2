"""One pass over one clip, window by window.

decode ─ sound → 16 kHz mono ──────────────────→ audio_encoder ─┐
       └ frames → detect, track, crop 224 ─────→ face_encoder ──┴→ audio | visual | audio_visual
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from vavl_runtime.answers import PathAnswers
from vavl_runtime.availability import Modality, Presence
from vavl_runtime.errors import InputError
from vavl_runtime.faces import FaceLocator, Mtcnn, crop_face, track_face
from vavl_runtime.faces.boxes import Boxes
from vavl_runtime.graphs import Graphs
from vavl_runtime.manifest import PathName
from vavl_runtime.media import Frame, Source
from vavl_runtime.media.source import SAMPLE_RATE
from vavl_runtime.timing import StageTimer
from vavl_runtime.windows import FrameWindow, SoundWindow, frame_windows, pair_windows, sound_windows

T = TypeVar("T")
FACE_BATCH = 4  # crops encoded at once: more is no faster on a CPU and costs memory


class ModalityFaultError(Exception):
    """A modality's media turned out to be broken; ``__cause__`` is the error of our tree."""

    def __init__(self, modality: Modality, error: InputError) -> None:
        super().__init__(str(error))
        self.modality = modality
        self.error = error


@dataclass(frozen=True)
class Features:
    """Encoder features of one window and the time they cover."""

    values: NDArray[np.float32]  # (1, T, F)
    seconds: float

    def inputs(self, modality: Modality) -> dict[str, NDArray[Any]]:
        """The inputs of a path graph."""
        lengths = np.array([self.values.shape[1]], np.int64)
        return {f"{modality}_features": self.values, f"{modality}_lengths": lengths}


@dataclass
class _Span:
    """The time that frames cover."""

    start_s: float = 0.0
    end_s: float = 0.0

    def note(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        """Pass frames on, keeping when the first begins and the last ends."""
        for number, frame in enumerate(frames):
            if number == 0:
                self.start_s = frame.time_s
            self.end_s = max(self.end_s, frame.time_s + frame.shown_s)
            yield frame


class ClipPass:
    """Reads a clip once and answers.

    Args:
        graphs: The bundle's graphs.
        source: The clip.
        presence: Which modalities to look at; what is found is noted there.
        timer: Where time is booked.
        all_paths: With both modalities in a window, ask the unimodal paths too.
    """

    def __init__(
        self, graphs: Graphs, source: Source, presence: Presence, timer: StageTimer, *, all_paths: bool
    ) -> None:
        self._graphs = graphs
        self._manifest = graphs.bundle.manifest
        self._source = source
        self._presence = presence
        self._timer = timer
        self._all_paths = all_paths
        recipe = self._manifest.crop
        detector = Mtcnn(lambda net, pixels: graphs.run(net, timer, "detect", {"pixels": pixels}), recipe)
        self._locate = FaceLocator(detector, recipe)
        self.answers = PathAnswers()
        self.duration_s = 0.0

    def run(self) -> None:
        """Answer every window.

        Raises:
            ModalityFaultError: The sound or the picture is broken.
        """
        window_s = self._manifest.limits.window_s
        sound: Iterator[SoundWindow] = iter(())
        pictures: Iterator[FrameWindow] = iter(())
        if self._presence.wanted("audio"):
            blocks = self._timer.each("decode_audio", self._guarded("audio", self._source.sound()))
            sound = sound_windows(blocks, window_s)
        if self._presence.wanted("visual"):
            frames = self._timer.each("decode_video", self._guarded("visual", self._source.frames()))
            pictures = frame_windows(frames, window_s)
        for heard, window in pair_windows(sound, pictures):
            audio = self._hear(heard) if heard is not None else None
            visual = self._see(window) if window is not None else None
            self._answer(audio, visual)

    def _guarded(self, modality: Modality, items: Iterator[T]) -> Iterator[T]:
        try:
            yield from items
        except InputError as error:
            raise ModalityFaultError(modality, error) from error

    def _hear(self, window: SoundWindow) -> Features | None:
        samples = window.samples
        self.duration_s = max(self.duration_s, window.end_s)
        if not self._presence.hear(samples, self._manifest.limits):
            return None
        output = self._graphs.run(
            "audio_encoder",
            self._timer,
            "audio_encoder",
            {"waveform": samples[None], "samples": np.array([len(samples)], np.int64)},
        )
        return Features(output["audio_features"], len(samples) / SAMPLE_RATE)

    def _see(self, frames: Iterator[Frame]) -> Features | None:
        seen = _Span()
        encoded: list[NDArray[np.float32]] = []
        tracked = track_face(seen.note(frames), self._locate, self._manifest.crop.detect_every)
        crops = self._crops(self._timer.each("detect", tracked))
        while batch := list(islice(crops, FACE_BATCH)):
            output = self._graphs.run("face_encoder", self._timer, "face_encoder", {"faces": np.stack(batch)})
            encoded.append(output["face_features"])
        self.duration_s = max(self.duration_s, seen.end_s)
        if not encoded:
            return None
        features = np.concatenate(encoded)
        if len(features) > self._manifest.limits.max_tokens:  # above 125 frames a second: take every n-th
            chosen = np.linspace(0, len(features) - 1, self._manifest.limits.max_tokens).round().astype(int)
            features = features[chosen]
        return Features(features[None], seen.end_s - seen.start_s)

    def _crops(self, tracked: Iterator[tuple[Frame, Boxes | None]]) -> Iterator[NDArray[np.uint8]]:
        for frame, box in tracked:
            self._presence.see(box is not None)
            if box is not None:
                with self._timer.stage("crop"):
                    crop = crop_face(frame.pixels, box, self._manifest.crop)
                yield crop

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

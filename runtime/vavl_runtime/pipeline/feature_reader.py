"""From a clip to encoder features, window by window. Training extracts its features by this too."""

import contextlib
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vavl_runtime.backends.base import Arrays
from vavl_runtime.bundle.manifest import CropRecipe, Limits
from vavl_runtime.media import Source
from vavl_runtime.media.source import SAMPLE_RATE
from vavl_runtime.pipeline.availability import Modality, Presence
from vavl_runtime.pipeline.clip_reader import ClipReader, FaceCrops
from vavl_runtime.pipeline.threads import run_in_background
from vavl_runtime.pipeline.windows import SoundWindow
from vavl_runtime.timing import StageTimer

FACE_BATCH = 4  # crops encoded at once: more is no faster on a CPU and costs memory

RunGraph = Callable[[str, str, Arrays], dict[str, NDArray[Any]]]  # graph, stage, inputs -> outputs


@dataclass(frozen=True)
class Features:
    """Encoder features of one window and the time they cover."""

    values: NDArray[np.float32]  # (1, T, F)
    seconds: float

    def inputs(self, modality: Modality) -> dict[str, NDArray[Any]]:
        """The inputs of a path graph."""
        lengths = np.array([self.values.shape[1]], np.int64)
        return {f"{modality}_features": self.values, f"{modality}_lengths": lengths}


class FeatureReader:
    """Reads a clip once and encodes it.

    Args:
        run: Runs ``audio_encoder``, ``face_encoder`` and the nets of the face detector.
        crop: How faces are found and cut out.
        limits: Bounds.
        source: The clip.
        presence: Which modalities to look at; what is found is noted there.
        timer: Where time is booked.
        stride: Every n-th frame is looked at.
        overlap: Encode the sound of a window in a thread of its own while its faces are read; ``run`` is then called
            from two threads at once.

    Attributes:
        duration_s: Length of what has been read, seconds.
    """

    def __init__(
        self,
        run: RunGraph,
        crop: CropRecipe,
        limits: Limits,
        source: Source,
        presence: Presence,
        timer: StageTimer,
        *,
        stride: int = 1,
        overlap: bool = False,
    ) -> None:
        self._run = run
        self._overlap = overlap
        self._timer = timer
        self._limits = limits
        self._presence = presence
        self._reader = ClipReader(
            lambda net, pixels: run(net, "detect", {"pixels": pixels}),
            crop,
            limits,
            source,
            presence,
            timer,
            stride=stride,
        )
        self.duration_s = 0.0

    def windows(self) -> Generator[tuple[Features | None, Features | None], None, None]:
        """Encode window by window. Close it where it is left before its end: frames are read in a thread.

        Yields:
            Audio and visual features of a window; None where a modality is absent.

        Raises:
            ModalityFaultError: The sound or the picture is broken.
        """
        with contextlib.closing(self._reader.windows()) as windows:
            for sound, faces in self._timer.each("window", windows):
                audio: Features | None
                samples = self._hear(sound) if sound is not None else None
                if self._overlap and samples is not None and faces is not None:
                    with run_in_background(partial(self._encode_sound, samples), self._timer, "sound") as encoded:
                        visual = self._encode_faces(faces)
                        audio = encoded()
                else:
                    audio = self._encode_sound(samples) if samples is not None else None
                    visual = self._encode_faces(faces) if faces is not None else None
                yield audio, visual

    def _hear(self, window: SoundWindow) -> NDArray[np.float32] | None:
        """The samples of a window, if they are to be encoded."""
        self.duration_s = max(self.duration_s, window.end_s)
        with self._timer.stage("audio_encoder"):
            usable = self._presence.hear(window.samples, self._limits)
        return window.samples if usable else None

    def _encode_sound(self, samples: NDArray[np.float32]) -> Features:
        inputs: dict[str, NDArray[Any]] = {"waveform": samples[None], "samples": np.array([len(samples)], np.int64)}
        with self._timer.stage("audio_encoder"):
            output = self._run("audio_encoder", "audio_encoder", inputs)
        return Features(output["audio_features"], len(samples) / SAMPLE_RATE)

    def _encode_faces(self, faces: FaceCrops) -> Features | None:
        with self._timer.stage("face_encoder"):  # paused while the crops are read
            return self._see(faces)

    def _see(self, faces: FaceCrops) -> Features | None:
        encoded: list[NDArray[np.float32]] = []
        while batch := list(islice(faces.crops, FACE_BATCH)):
            encoded.append(self._run("face_encoder", "face_encoder", {"faces": np.stack(batch)})["face_features"])
        self.duration_s = max(self.duration_s, faces.end_s)
        if not encoded:
            return None
        features = np.concatenate(encoded)
        if len(features) > self._limits.max_tokens:  # above 125 frames a second: take every n-th
            chosen = np.linspace(0, len(features) - 1, self._limits.max_tokens).round().astype(int)
            features = features[chosen]
        return Features(features[None], faces.end_s - faces.start_s)

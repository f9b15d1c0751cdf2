"""From a clip to encoder features, window by window. Training extracts its features with this, too."""

import contextlib
from collections.abc import Generator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vavl_runtime.backends.base import RunGraph
from vavl_runtime.media.source import SAMPLE_RATE
from vavl_runtime.pipeline.availability import Modality
from vavl_runtime.pipeline.clip_reader import ClipReader, FaceCrops
from vavl_runtime.pipeline.context import ClipContext
from vavl_runtime.pipeline.threads import run_in_background

FACE_BATCH = 4  # crops encoded at once: more is no faster on a CPU and costs memory


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
        context: The clip, and how to read it.
        run: Runs ``audio_encoder``, ``face_encoder`` and the nets of the face detector.
        overlap: Encode the sound of a window in a thread of its own while its faces are read. ``run`` is then called
            from two threads at once.
    """

    def __init__(self, context: ClipContext, run: RunGraph, *, overlap: bool = False) -> None:
        self._run = run
        self._overlap = overlap
        self._timer = context.timer
        self._max_tokens = context.limits.max_tokens
        self._reader = ClipReader(context, run)

    @property
    def duration_s(self) -> float:
        """Length of what has been read, seconds."""
        return self._reader.duration_s

    def windows(self) -> Generator[tuple[Features | None, Features | None], None, None]:
        """Encode window by window. Close the generator if you leave it early: a thread reads the frames.

        Yields:
            Audio and visual features of a window; None where a modality is absent.

        Raises:
            ModalityFaultError: The sound or the picture is broken.
        """
        with contextlib.closing(self._reader.windows()) as windows:
            for samples, faces in self._timer.each("window", windows):
                audio: Features | None
                if self._overlap and samples is not None and faces is not None:
                    encode = partial(self._encode_sound, samples)
                    with run_in_background(encode, self._timer, "sound") as encoded:
                        visual = self._encode_faces(faces)
                        audio = encoded()
                else:
                    audio = self._encode_sound(samples) if samples is not None else None
                    visual = self._encode_faces(faces) if faces is not None else None
                yield audio, visual

    def _encode_sound(self, samples: NDArray[np.float32]) -> Features:
        inputs: dict[str, NDArray[Any]] = {"waveform": samples[None], "samples": np.array([len(samples)], np.int64)}
        with self._timer.stage("audio_encoder"):
            output = self._run("audio_encoder", inputs)
        return Features(output["audio_features"], len(samples) / SAMPLE_RATE)

    def _encode_faces(self, faces: FaceCrops) -> Features | None:
        encoded: list[NDArray[np.float32]] = []
        with self._timer.stage("face_encoder"):  # paused while the crops are read
            while batch := list(islice(faces.crops, FACE_BATCH)):
                encoded.append(self._run("face_encoder", {"faces": np.stack(batch)})["face_features"])
        if not encoded:
            return None
        features = np.concatenate(encoded)
        if len(features) > self._max_tokens:  # above 125 frames a second: take every n-th
            chosen = np.linspace(0, len(features) - 1, self._max_tokens).round().astype(int)
            features = features[chosen]
        return Features(features[None], faces.end_s - faces.start_s)

"""From a clip to encoder features, window by window. Training extracts its features with this, too."""

import contextlib
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vavl_runtime.backends.base import DEFAULT_FACE_BATCH, RunGraph
from vavl_runtime.media.source import SAMPLE_RATE
from vavl_runtime.pipeline.availability import Modality
from vavl_runtime.pipeline.clip_reader import ClipReader, FaceCrops
from vavl_runtime.pipeline.context import ClipContext
from vavl_runtime.pipeline.threads import run_in_background
from vavl_runtime.pipeline.together import Stretch
from vavl_runtime.pipeline.token_clock import on_clock
from vavl_runtime.pipeline.windows import SoundWindow


@dataclass(frozen=True)
class Features:
    """Encoder features of one modality of one window.

    Attributes:
        values: float32, shape (1, T, F).
        seconds: Length of the modality's media in the window.
        stretch: Where in it the modality is there.
    """

    values: NDArray[np.float32]
    seconds: float
    stretch: Stretch

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
        face_batch: Says how many faces one run of ``face_encoder`` takes; asked when the first faces are there.
    """

    def __init__(
        self,
        context: ClipContext,
        run: RunGraph,
        *,
        overlap: bool = False,
        face_batch: Callable[[], int] = lambda: DEFAULT_FACE_BATCH,
    ) -> None:
        self._run = run
        self._overlap = overlap
        self._face_batch = face_batch
        self._timer = context.timer
        self._token_rate = context.crop.token_rate
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
            for sound, faces in self._timer.each("window", windows):
                audio: Features | None
                if self._overlap and sound is not None and faces is not None:
                    encode = partial(self._encode_sound, sound)
                    with run_in_background(encode, self._timer, "sound") as encoded:
                        visual = self._encode_faces(faces)
                        audio = encoded()
                else:
                    audio = self._encode_sound(sound) if sound is not None else None
                    visual = self._encode_faces(faces) if faces is not None else None
                yield audio, visual

    def _encode_sound(self, sound: SoundWindow) -> Features:
        samples = sound.samples
        inputs: dict[str, NDArray[Any]] = {"waveform": samples[None], "samples": np.array([len(samples)], np.int64)}
        with self._timer.stage("audio_encoder"):
            output = self._run("audio_encoder", inputs)
        seconds = len(samples) / SAMPLE_RATE
        return Features(output["audio_features"], seconds, Stretch(sound.start_s, sound.end_s, seconds))

    def _encode_faces(self, faces: FaceCrops) -> Features | None:
        encoded: list[NDArray[np.float32]] = []
        size = self._face_batch()
        with self._timer.stage("face_encoder"):  # paused while the crops are read
            while batch := list(islice(faces.crops, size)):
                encoded.append(self._run("face_encoder", {"faces": np.stack(batch)})["face_features"])
        if not encoded:
            return None
        tokens = face_tokens(np.concatenate(encoded), faces.times_s, self._token_rate, self._max_tokens)
        return Features(tokens[None], faces.seconds, faces.stretch())


def face_tokens(
    features: NDArray[np.float32], times_s: Sequence[float], rate: float | None, most: int
) -> NDArray[np.float32]:
    """Make the tokens of a window from the features of its faces.

    Args:
        features: One feature a face, shape (N, F).
        times_s: When each face was seen, seconds, N of them; not used without a rate.
        rate: Tokens a second; None for a token a face.
        most: Most tokens that a path graph takes. Where there are more, they are thinned evenly.

    Returns:
        Tokens, shape (at most ``most``, F).
    """
    if rate is not None:
        features = on_clock(features, np.array(times_s, np.float64), rate)
    if len(features) <= most:
        return features
    chosen: NDArray[np.float32] = features[np.linspace(0, len(features) - 1, most).round().astype(int)]
    return chosen

"""From a clip to what the encoders take: sound and face crops, window by window. Training reads clips by this too.

decode ─ sound → 16 kHz mono
       └ frames → detect, track, crop 224
"""

import contextlib
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from vavl_runtime.bundle.manifest import CropRecipe, Limits
from vavl_runtime.errors import InputError
from vavl_runtime.faces import FaceLocator, Mtcnn, crop_face, track_face
from vavl_runtime.faces.mtcnn import RunNet
from vavl_runtime.media import Frame, Source
from vavl_runtime.pipeline.availability import Modality, Presence
from vavl_runtime.pipeline.threads import prefetch
from vavl_runtime.pipeline.windows import FrameWindow, SoundWindow, frame_windows, pair_windows, sound_windows
from vavl_runtime.timing import StageTimer

T = TypeVar("T")

PREFETCH_BYTES = 8 << 20  # of frames decoded while a face is looked for: 11 of 512 x 512, 2 of 1920 x 1080


class ModalityFaultError(Exception):
    """A modality's media turned out to be broken; ``__cause__`` is the error of our tree."""

    def __init__(self, modality: Modality, error: InputError) -> None:
        super().__init__(str(error))
        self.modality = modality
        self.error = error


@dataclass
class FaceCrops:
    """The face crops of one window; iterate once, and before asking for the next window.

    Attributes:
        crops: RGB, uint8, each of shape (size, size, 3).
        start_s: Time of the window's first frame, seconds; known after the first crop.
        end_s: When its last frame disappears, seconds; known after the last crop.
    """

    crops: Iterator[NDArray[np.uint8]] = field(default_factory=lambda: iter(()))
    start_s: float = 0.0
    end_s: float = 0.0

    def note(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        """Pass frames on, keeping when the first begins and the last ends."""
        for number, frame in enumerate(frames):
            if number == 0:
                self.start_s = frame.time_s
            self.end_s = max(self.end_s, frame.time_s + frame.shown_s)
            yield frame


class ClipReader:
    """Reads a clip once.

    Args:
        run_net: Runs a net of the face detector.
        crop: How faces are found and cut out.
        limits: Window length, shortest sound, silence level.
        source: The clip.
        presence: Which modalities to look at; what is found is noted there.
        timer: Where time is booked.
        stride: Every n-th frame is looked at, the others are decoded and forgotten.
    """

    def __init__(
        self,
        run_net: RunNet,
        crop: CropRecipe,
        limits: Limits,
        source: Source,
        presence: Presence,
        timer: StageTimer,
        *,
        stride: int = 1,
    ) -> None:
        self._recipe = crop
        self._limits = limits
        self._source = source
        self._presence = presence
        self._timer = timer
        self._stride = stride
        self._locator = FaceLocator(Mtcnn(run_net, crop), crop)

    def windows(self) -> Generator[tuple[SoundWindow | None, FaceCrops | None], None, None]:
        """Read window by window. Close it where it is left before its end: frames are read in a thread.

        Yields:
            The sound and the face crops of a window; None where a modality has nothing there. Sound that is too
            short or silent is passed on: `Presence.hear` decides about it.

        Raises:
            ModalityFaultError: The sound or the picture is broken.
        """
        sound: Iterator[SoundWindow] = iter(())
        pictures: Iterator[FrameWindow] = iter(())
        with contextlib.ExitStack() as stack:
            if self._presence.wanted("audio"):
                blocks = self._timer.each("decode_audio", self._guarded("audio", self._source.sound()))
                sound = sound_windows(blocks, self._limits.window_s)
            if self._presence.wanted("visual"):
                chosen = islice(self._guarded("visual", self._source.frames()), 0, None, self._stride)
                decoded = self._timer.each("decode_video", chosen)
                frames = prefetch(decoded, lambda frame: frame.pixels.nbytes, PREFETCH_BYTES, self._timer, "frames")
                pictures = frame_windows(stack.enter_context(contextlib.closing(frames)), self._limits.window_s)
            for heard, window in pair_windows(sound, pictures):
                yield heard, self._faces(window) if window is not None else None

    def _guarded(self, modality: Modality, items: Iterator[T]) -> Iterator[T]:
        try:
            yield from items
        except InputError as error:
            raise ModalityFaultError(modality, error) from error

    def _faces(self, frames: Iterator[Frame]) -> FaceCrops:
        faces = FaceCrops()
        tracked = track_face(faces.note(frames), self._locate, self._recipe.detect_every)
        faces.crops = self._cut(self._timer.each("track", tracked))
        return faces

    def _locate(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32] | None:
        with self._timer.stage("detect"):
            return self._locator(pixels)

    def _cut(self, tracked: Iterator[tuple[Frame, NDArray[np.float32] | None]]) -> Iterator[NDArray[np.uint8]]:
        for frame, box in tracked:
            self._presence.see(box is not None)
            if box is not None:
                with self._timer.stage("crop"):
                    crop = crop_face(frame.pixels, box, self._recipe)
                yield crop

"""From a clip to what the encoders take: sound and face crops, window by window. Training reads clips with this, too.

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

from vavl_runtime.backends.base import RunGraph
from vavl_runtime.errors import InputError
from vavl_runtime.faces import FaceLocator, Mtcnn, crop_face, track_face
from vavl_runtime.media import Frame
from vavl_runtime.pipeline.availability import Modality
from vavl_runtime.pipeline.context import ClipContext
from vavl_runtime.pipeline.threads import prefetch
from vavl_runtime.pipeline.together import Stretch
from vavl_runtime.pipeline.windows import FrameWindow, SoundWindow, frame_windows, pair_windows, sound_windows

T = TypeVar("T")

PREFETCH_BYTES = 8 << 20  # of frames decoded ahead of the detector: 11 of 512 x 512, 2 of 1920 x 1080


class ModalityFaultError(Exception):
    """The media of one modality is broken; ``error`` says how."""

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
        frames: How many frames it has, those without a face among them; known after the last crop.
        times_s: When each crop that was taken so far was seen, seconds.
    """

    crops: Iterator[NDArray[np.uint8]] = field(default_factory=lambda: iter(()))
    start_s: float = 0.0
    end_s: float = 0.0
    frames: int = 0
    times_s: list[float] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """Length of the window's pictures; known after the last crop."""
        return self.end_s - self.start_s

    def stretch(self) -> Stretch:
        """Where the window shows a face. Ask after the last crop, if there was one."""
        frame_s = self.seconds / self.frames
        return Stretch(self.times_s[0], self.times_s[-1] + frame_s, len(self.times_s) * frame_s)


class ClipReader:
    """Reads a clip once, and notes in `ClipContext.presence` what is there.

    Args:
        context: The clip, and how to read it.
        run: Runs the nets of the face detector.

    Attributes:
        duration_s: Length of what has been read, seconds.
    """

    def __init__(self, context: ClipContext, run: RunGraph) -> None:
        self._context = context
        self._locator = FaceLocator(Mtcnn(run, context.crop), context.crop)
        self.duration_s = 0.0

    def windows(self) -> Generator[tuple[SoundWindow | None, FaceCrops | None], None, None]:
        """Read window by window. Close the generator if you leave it early: a thread reads the frames.

        Yields:
            The sound of a window, and its face crops; None where a modality has nothing usable there: no media, or
            sound that is too short or silent.

        Raises:
            ModalityFaultError: The sound or the picture is broken.
        """
        context = self._context
        timer, window_s = context.timer, context.limits.window_s
        sound: Iterator[SoundWindow] = iter(())
        pictures: Iterator[FrameWindow] = iter(())
        with contextlib.ExitStack() as stack:
            if context.presence.wanted("audio"):
                blocks = timer.each("decode_audio", self._guarded("audio", context.source.sound()))
                sound = sound_windows(blocks, window_s)
            if context.presence.wanted("visual"):
                chosen = islice(self._guarded("visual", context.source.frames()), 0, None, context.stride)
                decoded = timer.each("decode_video", chosen)
                frames = prefetch(decoded, lambda frame: frame.nbytes, PREFETCH_BYTES, timer, "frames")
                stack.enter_context(contextlib.closing(frames))
                pictures = frame_windows(self._counted(frames), window_s)
            for heard, window in pair_windows(sound, pictures):
                sound_there = heard is not None and self._usable(heard)
                yield heard if sound_there else None, self._faces(window) if window is not None else None

    def _guarded(self, modality: Modality, items: Iterator[T]) -> Iterator[T]:
        try:
            yield from items
        except InputError as error:
            raise ModalityFaultError(modality, error) from error

    def _counted(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        """Pass frames on, telling the locator first whether there is only one."""
        begin = list(islice(frames, 2))
        self._locator.only_picture = len(begin) == 1
        while begin:
            yield begin.pop(0)
        yield from frames

    def _usable(self, window: SoundWindow) -> bool:
        """Whether the sound of a window is long and loud enough."""
        self.duration_s = max(self.duration_s, window.end_s)
        with self._context.timer.stage("audio_encoder"):
            return self._context.presence.hear(window, self._context.limits)

    def _faces(self, frames: Iterator[Frame]) -> FaceCrops:
        faces = FaceCrops()
        crop = self._context.crop
        tracked = track_face(self._clocked(frames, faces), self._locate, crop.detect_every, crop.token_rate)
        # Frames become RGB where they are looked at, which is where damage may show.
        faces.crops = self._guarded("visual", self._cut(self._context.timer.each("track", tracked), faces.times_s))
        return faces

    def _clocked(self, frames: Iterator[Frame], faces: FaceCrops) -> Iterator[Frame]:
        """Pass frames on, keeping when the first begins and the last ends."""
        for frame in frames:
            if faces.frames == 0:
                faces.start_s = frame.time_s
            faces.frames += 1
            faces.end_s = max(faces.end_s, frame.time_s + frame.shown_s)
            self.duration_s = max(self.duration_s, faces.end_s)
            yield frame

    def _locate(self, frame: Frame) -> NDArray[np.float32] | None:
        with self._context.timer.stage("detect"):
            box = self._locator(frame)
            self._context.presence.search(frame, box, self._locator.count)
        return box

    def _cut(
        self, tracked: Iterator[tuple[Frame, NDArray[np.float32] | None]], times_s: list[float]
    ) -> Iterator[NDArray[np.uint8]]:
        for frame, box in tracked:
            self._context.presence.see(frame, face=box is not None)
            if box is not None:
                with self._context.timer.stage("crop"):
                    crop = crop_face(frame, box, self._context.crop)
                times_s.append(frame.time_s)
                yield crop

"""Clips that are already in memory."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vavl_runtime.errors import InvalidArrayError
from vavl_runtime.media.mixing import Mixer
from vavl_runtime.media.source import MAX_AMPLITUDE, SAMPLE_RATE, STRETCH_S, Frame, SoundBlock
from vavl_runtime.notes import Note
from vavl_runtime.stream_numbers import StreamNumbers

FRAME_RATES = (1e-3, 1e6)


@dataclass(frozen=True)
class ArrayClip:
    """A clip in memory.

    Attributes:
        audio: Mono 16 kHz float32 in [-1, 1], shape (S,); None without sound.
        frames: RGB uint8, shape (N, H, W, 3); None without picture.
        fps: Frames a second; or give ``times_s``.
        times_s: When each frame is shown, seconds from the clip's start, not decreasing, shape (N,).
        name: How to call the clip in results.
    """

    audio: NDArray[np.float32] | None = None
    frames: NDArray[np.uint8] | None = None
    fps: float = 25.0
    times_s: NDArray[np.float64] | None = None
    name: str = "array"


class ArraySource:
    """An `ArrayClip` as a `Source`.

    Args:
        clip: The clip.

    Raises:
        InvalidArrayError: A type, dtype, shape or value is wrong.
    """

    def __init__(self, clip: ArrayClip) -> None:
        self.name = clip.name
        self.has_audio = clip.audio is not None
        self.has_video = clip.frames is not None
        if clip.audio is not None:
            _check_audio(clip.audio)
        if clip.frames is not None:
            _check_frames(clip.frames)
        self._audio = clip.audio
        self._frames = clip.frames
        self._times = _frame_times(clip)

    def sound(self) -> Iterator[SoundBlock]:
        """Hand out the sound without its offset, as that of a file."""
        assert self._audio is not None
        mixer, length = Mixer(), round(STRETCH_S * SAMPLE_RATE)
        for start in range(0, len(self._audio), length):
            yield SoundBlock(start / SAMPLE_RATE, mixer.mono(self._audio[None, start : start + length].copy()))

    def notes(self) -> tuple[Note, ...]:
        """Nothing: arrays are what they are."""
        return ()

    def streams(self) -> StreamNumbers:
        """No numbers: arrays have no streams."""
        return StreamNumbers()

    def frames(self) -> Iterator[Frame]:
        """Hand out the frames."""
        assert self._frames is not None
        steps = np.diff(self._times)
        shown = np.append(steps, steps[-1:] if len(steps) else 0.0)  # the last frame as long as the one before
        for time_s, pixels, shown_s in zip(self._times, self._frames, shown, strict=True):
            yield Frame(float(time_s), pixels, float(shown_s))


def _describe(value: object) -> str:
    return f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__


def _check_audio(audio: object) -> None:
    if not isinstance(audio, np.ndarray) or audio.dtype != np.float32 or audio.ndim != 1 or audio.size == 0:
        raise InvalidArrayError(
            f"audio: got {_describe(audio)}, expected mono float32 at 16 kHz of shape (samples,), not empty"
        )
    wrong = np.count_nonzero(~(np.abs(audio) <= MAX_AMPLITUDE))
    if wrong:
        raise InvalidArrayError(
            f"audio: {wrong} of {audio.size} samples are NaN, infinite or beyond {MAX_AMPLITUDE:g}, where full scale "
            "is 1; replace or cut them, or scale the sound"
        )


def _check_frames(frames: object) -> None:
    fits = isinstance(frames, np.ndarray) and frames.dtype == np.uint8 and frames.ndim == 4
    if not fits or frames.shape[3] != 3 or frames.size == 0:  # type: ignore[attr-defined]
        raise InvalidArrayError(
            f"frames: got {_describe(frames)}, expected RGB uint8 of shape (frames, height, width, 3), not empty"
        )


def _frame_times(clip: ArrayClip) -> NDArray[np.float64]:
    count = 0 if clip.frames is None else len(clip.frames)
    if clip.times_s is None:
        fps = clip.fps
        if not isinstance(fps, (int, float, np.integer, np.floating)) or not FRAME_RATES[0] <= fps <= FRAME_RATES[1]:
            raise InvalidArrayError(
                f"fps: got {fps!r:.60}, expected a number of frames a second "
                f"from {FRAME_RATES[0]:g} to {FRAME_RATES[1]:g}"
            )
        return np.arange(count, dtype=np.float64) / float(fps)
    times = _as_seconds(clip.times_s)
    if times is None or times.shape != (count,) or not np.isfinite(times).all() or (np.diff(times) < 0).any():
        raise InvalidArrayError(
            f"times_s: got {_describe(clip.times_s)}, expected {count} finite seconds that never decrease, "
            "one for each frame"
        )
    return times


def _as_seconds(times: object) -> NDArray[np.float64] | None:
    try:
        array = np.asarray(times)
    except ValueError:  # ragged lists
        return None
    return array.astype(np.float64) if array.dtype.kind in "iuf" else None

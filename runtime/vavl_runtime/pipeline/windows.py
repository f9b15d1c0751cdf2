"""Cuts a clip into windows on the clock, so that memory does not grow with its length.

A clip of up to one window is predicted in one piece. Sound and picture are cut at the same times. Windows carry their
number, so even an absurd gap in the time stamps costs nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vavl_runtime.media import Frame, SoundBlock
from vavl_runtime.media.source import SAMPLE_RATE

FrameWindow = tuple[int, Iterator[Frame]]


@dataclass(frozen=True)
class SoundWindow:
    """The sound of one window.

    Attributes:
        number: Which window.
        samples: Its samples without the gaps, shape (S,).
        start_s: Time of its first sample, seconds since the clip's start.
        end_s: Time after its last sample, seconds since the clip's start.
    """

    number: int
    samples: NDArray[np.float32]
    start_s: float
    end_s: float


def sound_windows(blocks: Iterator[SoundBlock], window_s: float) -> Iterator[SoundWindow]:
    """Collect sound into windows.

    Args:
        blocks: Sound in order; a block may start later than the one before ends.
        window_s: Length of a window, seconds.

    Yields:
        The windows that hold sound.
    """
    size = round(window_s * SAMPLE_RATE)
    held: list[NDArray[np.float32]] = []
    begin = end = 0  # of what is held, samples since the clip's start

    def collected() -> SoundWindow:
        return SoundWindow((end - 1) // size, np.concatenate(held), begin / SAMPLE_RATE, end / SAMPLE_RATE)

    for block in blocks:
        start = max(end, round(block.start_s * SAMPLE_RATE))
        if held and start // size != (end - 1) // size:
            yield collected()
            held = []
        end = start
        samples = block.samples
        while len(samples):
            part = samples[: size - end % size]
            samples = samples[len(part) :]
            if not held:
                begin = end
            held.append(part)
            end += len(part)
            if end % size == 0:
                yield collected()
                held = []
    if held:
        yield collected()


def frame_windows(frames: Iterator[Frame], window_s: float) -> Iterator[FrameWindow]:
    """Hand out frames window by window, one frame at a time.

    Args:
        frames: Frames in order.
        window_s: Length of a window, seconds.

    Yields:
        The number of a window, and its frames; consume them before asking for the next window.
    """
    waiting = next(frames, None)

    def window(number: int) -> Iterator[Frame]:
        nonlocal waiting
        while waiting is not None and waiting.time_s // window_s == number:
            frame, waiting = waiting, None
            yield frame
            waiting = next(frames, None)

    while waiting is not None:
        number = int(waiting.time_s // window_s)
        yield number, window(number)


def pair_windows(
    sound: Iterator[SoundWindow], pictures: Iterator[FrameWindow]
) -> Iterator[tuple[SoundWindow | None, Iterator[Frame] | None]]:
    """Pair the windows of sound and picture that have the same number.

    Args:
        sound: Windows of sound, in order.
        pictures: Windows of frames, in order.

    Yields:
        The sound and the frames of a window; None where a modality has none.
    """
    heard, seen = next(sound, None), next(pictures, None)
    while heard is not None or seen is not None:
        if seen is None or (heard is not None and heard.number < seen[0]):
            yield heard, None
            heard = next(sound, None)
        elif heard is None or seen[0] < heard.number:
            yield None, seen[1]
            seen = next(pictures, None)
        else:
            yield heard, seen[1]
            heard, seen = next(sound, None), next(pictures, None)

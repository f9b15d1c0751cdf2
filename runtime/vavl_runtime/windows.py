"""Cuts a clip into windows on the clock, so that memory does not grow with its length.

A clip no longer than one window is answered at once. Sound and picture are cut at the same times. Windows carry their
number, so a gap in the time stamps, however absurd, costs nothing.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from vavl_runtime.media import Frame, SoundBlock
from vavl_runtime.media.source import SAMPLE_RATE

SoundWindow = tuple[int, NDArray[np.float32]]
FrameWindow = tuple[int, Iterator[Frame]]


def sound_windows(blocks: Iterator[SoundBlock], window_s: float) -> Iterator[SoundWindow]:
    """Collect sound into windows.

    Args:
        blocks: Sound in order; only the start time of the first one counts.
        window_s: Length of a window, seconds.

    Yields:
        The number of a window, and its samples.
    """
    size = round(window_s * SAMPLE_RATE)
    held: list[NDArray[np.float32]] = []
    end: int | None = None  # samples since the clip's start, after what is held
    for block in blocks:
        end = round(block.start_s * SAMPLE_RATE) if end is None else end
        samples = block.samples
        while len(samples):
            part = samples[: size - end % size]
            samples = samples[len(part) :]
            held.append(part)
            end += len(part)
            if end % size == 0:
                yield end // size - 1, np.concatenate(held)
                held = []
    if held and end is not None:
        yield end // size, np.concatenate(held)


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
) -> Iterator[tuple[int, NDArray[np.float32] | None, Iterator[Frame] | None]]:
    """Bring windows of equal number together.

    Args:
        sound: Windows of sound, in order.
        pictures: Windows of frames, in order.

    Yields:
        A number with its sound and its frames; None where a modality has none.
    """
    heard, seen = next(sound, None), next(pictures, None)
    while heard is not None or seen is not None:
        number = min(window[0] for window in (heard, seen) if window is not None)
        hears = heard is not None and heard[0] == number
        sees = seen is not None and seen[0] == number
        yield number, heard[1] if heard and hears else None, seen[1] if seen and sees else None
        if hears:
            heard = next(sound, None)
        if sees:
            seen = next(pictures, None)

"""Cuts a clip into windows on the clock, so that memory does not grow with its length.

A clip no longer than one window is answered at once. Sound and picture are cut at the same times.
"""

from collections.abc import Iterator
from itertools import zip_longest

import numpy as np
from numpy.typing import NDArray

from vavl_runtime.media import Frame, SoundBlock
from vavl_runtime.media.source import SAMPLE_RATE


def sound_windows(blocks: Iterator[SoundBlock], window_s: float) -> Iterator[NDArray[np.float32]]:
    """Collect sound into windows.

    Args:
        blocks: Sound in order.
        window_s: Length of a window, seconds.

    Yields:
        The samples of window 0, 1, 2, …; empty where the sound has not begun yet.
    """
    size = round(window_s * SAMPLE_RATE)
    held: list[NDArray[np.float32]] = []
    end: int | None = None  # samples since the clip's start, after what is held
    for block in blocks:
        if end is None:  # later sound leaves the windows before it empty, and the first one short
            end = round(block.start_s * SAMPLE_RATE)
            for _ in range(end // size):
                yield np.empty(0, np.float32)
        samples = block.samples
        while len(samples):
            room = size - end % size
            held.append(samples[:room])
            end += len(samples[:room])
            samples = samples[room:]
            if end % size == 0:
                yield np.concatenate(held)
                held = []
    if held:
        yield np.concatenate(held)


class FrameWindows:
    """Hands out frames window by window, one frame at a time.

    Args:
        frames: Frames in order.
        window_s: Length of a window, seconds.
    """

    def __init__(self, frames: Iterator[Frame], window_s: float) -> None:
        self._frames = frames
        self._window_s = window_s
        self._next: Frame | None = None

    def __iter__(self) -> Iterator[Iterator[Frame]]:
        """Yield the frames of window 0, 1, 2, …; consume each before asking for the next."""
        number = 0
        self._advance()
        while self._next is not None:
            yield self._window((number + 1) * self._window_s)
            number += 1

    def _advance(self) -> None:
        self._next = next(self._frames, None)

    def _window(self, end_s: float) -> Iterator[Frame]:
        while self._next is not None and self._next.time_s < end_s:
            frame = self._next
            self._advance()
            yield frame


def pair_windows(
    sound: Iterator[NDArray[np.float32]], pictures: Iterator[Iterator[Frame]]
) -> Iterator[tuple[NDArray[np.float32] | None, Iterator[Frame] | None]]:
    """Pair sound and picture windows by number; None where a modality has ended."""
    return zip_longest(sound, pictures)

"""What the pipeline sees of a clip, wherever it comes from."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 16_000
MAX_AMPLITUDE = 1e5  # full scale is 1; larger samples are damage, not sound


@dataclass(frozen=True)
class SoundBlock:
    """A stretch of sound.

    Attributes:
        start_s: Time of its first sample since the clip's start, in seconds.
        samples: Mono 16 kHz float32, finite, nominally in [-1, 1], shape (S,).
    """

    start_s: float
    samples: NDArray[np.float32]


@dataclass(frozen=True)
class Frame:
    """A picture.

    Attributes:
        time_s: When it is shown, in seconds since the clip's start; never decreases within a clip.
        pixels: RGB as a person would see it, rotation applied, uint8, shape (H, W, 3).
        shown_s: How long it is shown, seconds.
    """

    time_s: float
    pixels: NDArray[np.uint8]
    shown_s: float = 0.0


class Source(Protocol):
    """A clip that can be read from its start as often as needed.

    Attributes:
        name: How to call the clip in results.
        has_audio: Whether a sound stream is announced.
        has_video: Whether a picture stream is announced; cover art does not count.
    """

    name: str
    has_audio: bool
    has_video: bool

    def sound(self) -> Iterator[SoundBlock]:
        """Decode the sound from its start; raises `InputError`s of media."""

    def frames(self) -> Iterator[Frame]:
        """Decode the pictures from their start; raises `InputError`s of media."""

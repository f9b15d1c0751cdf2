"""What the pipeline sees of a clip, wherever it comes from."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vavl_runtime.notes import Note
from vavl_runtime.stream_numbers import StreamNumbers

SAMPLE_RATE = 16_000
STRETCH_S = 10.0  # offsets are removed from, and channels mixed in, stretches of this length
# Names how files become mono 16 kHz, and what counts as silence. Change it when the samples change: caches of features
# made by another recipe can be read, but are not added to.
SOUND_RECIPE = "channel-mean-2"
MAX_AMPLITUDE = 1e5  # full scale is 1; larger samples are damage, not sound


@dataclass(frozen=True)
class SoundBlock:
    """A stretch of sound.

    Attributes:
        start_s: Time of its first sample since the clip's start, in seconds.
        samples: Mono 16 kHz float32, finite, without offset, nominally in [-1, 1], shape (S,).
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

    @property
    def size(self) -> tuple[int, int]:
        """Height and width, pixels."""
        height, width, _ = self.pixels.shape
        return height, width

    @property
    def nbytes(self) -> int:
        """Memory that it takes until it is looked at, bytes."""
        return self.pixels.nbytes

    def area(self, left: int, top: int, right: int, bottom: int) -> NDArray[np.uint8]:
        """Look at a part alone, which may be faster than to look at the whole.

        Args:
            left: First column, at least 0.
            top: First row, at least 0.
            right: Column after the last; may be beyond the edge.
            bottom: Row after the last; may be beyond the edge.

        Returns:
            ``pixels[top:bottom, left:right]``.
        """
        return self.pixels[top:bottom, left:right]


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

    def notes(self) -> tuple[Note, ...]:
        """What is worth knowing about what was read so far, in the latest pass over each modality."""

    def streams(self) -> StreamNumbers:
        """Which streams of the file were read so far."""

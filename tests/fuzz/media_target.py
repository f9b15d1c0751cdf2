"""Damaged films and recordings, read to their end: streams, packets, frames, colours, sound, cutting into windows."""

from pathlib import Path

import numpy as np

from tests.fuzz.media_seeds import media_seeds
from tests.fuzz.mutations import Seed
from tests.fuzz.target import Check, Target
from vavl_runtime.bundle.manifest import Limits
from vavl_runtime.errors import InputError
from vavl_runtime.media import open_source
from vavl_runtime.media.source import Source
from vavl_runtime.pipeline.windows import frame_windows, sound_windows

_LIMITS = Limits()


def _opened(folder: Path) -> Check:
    return _check


def _check(seed: Seed, content: bytes) -> None:
    source = open_source(content, _LIMITS)
    errors: list[InputError] = []
    for announced, read in ((source.has_audio, _hear), (source.has_video, _see)):
        try:
            if announced:
                read(source)
        except InputError as error:  # one modality may be broken and the other one good
            errors.append(error)
    assert all(note.message for note in source.notes())
    if errors:
        raise errors[0]


def _hear(source: Source) -> None:
    number = -1
    for window in sound_windows(source.sound(), _LIMITS.window_s):
        assert window.number > number and np.isfinite(window.samples).all(), "sound that is not finite, or not in order"
        number = window.number


def _see(source: Source) -> None:
    time_s = 0.0
    for _, frames in frame_windows(source.frames(), _LIMITS.window_s):
        for frame in frames:
            assert frame.time_s >= time_s, "a picture before the one before it"
            assert frame.pixels.dtype == np.uint8 and frame.pixels.shape[2:] == (3,), "no RGB picture"
            assert frame.pixels.shape[0] * frame.pixels.shape[1] <= _LIMITS.max_frame_pixels, "larger than allowed"
            time_s = frame.time_s


MEDIA = Target("media", "media", 24_000, media_seeds, _opened, by_kind=True)

"""Clips of made media, of every kind that extraction has to handle, and comparisons of their features."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.runtime.made_media import pcm16, tone, write_wav
from vavl.corpora import Clip
from vavl.features import ClipFeatures, WindowFeatures
from vavl.features.extract import EncoderChoice

TOLERANCE = 1e-3  # of the largest feature: boxes differ in their last bits, and so a crop by a level here and there
CHOICE = EncoderChoice("random:light@0", "light")

KINDS = {
    "both": ("film", "film", True, True, {}),
    "sound only": ("sound", None, True, False, {}),
    "sound of a film": ("film", None, True, False, {}),
    "picture of a film": (None, "film", False, True, {}),
    "a mute film": (None, "mute film", False, True, {}),
    "two files": ("sound", "mute film", True, True, {}),
    "sound of another film": ("nobody", "film", True, True, {}),
    "silence": ("silent film", "silent film", False, True, {"audio": "silence"}),
    "silence beside": ("silence", "film", False, True, {"audio": "silence"}),
    "too short": ("short sound", "film", False, True, {"audio": "too_short"}),
    "nobody": ("nobody", "nobody", True, False, {"visual": "no_face"}),
    "no sound inside": ("mute film", "mute film", False, True, {"audio": "no_audio_stream"}),
    "no picture inside": ("sound", "sound", True, False, {"visual": "no_video_stream"}),
    "nothing": ("silence", "nobody", False, False, {"audio": "silence", "visual": "no_face"}),
    "nothing heard": ("silence", None, False, False, {"audio": "silence"}),
}


def clip_of(audio: Path | None, visual: Path | None, name: str = "clip") -> Clip:
    return Clip(name, "somebody", (1.0, 0.0), audio, visual, f"labels.csv:{name}")


def equal(mine: ClipFeatures, other: ClipFeatures, tolerance: float = 0.0) -> bool:
    def same(a: NDArray[Any] | None, b: NDArray[Any] | None) -> bool:
        if a is None or b is None:
            return a is b
        return a.shape == b.shape and bool(np.abs(a - b).max() <= tolerance)

    return mine.reasons == other.reasons and all(
        same(a.audio, b.audio)
        and same(a.visual, b.visual)
        and (a.audio_seconds, a.visual_seconds) == (b.audio_seconds, b.visual_seconds)
        for a, b in itertools.zip_longest(mine.windows, other.windows, fillvalue=WindowFeatures(None, None, -1.0))
    )


def assert_close(got: NDArray[Any] | None, wanted: NDArray[Any]) -> None:
    assert got is not None and got.shape == wanted.shape and got.dtype == wanted.dtype
    assert np.abs(got - wanted).max() <= TOLERANCE * np.abs(wanted).max()


def sounds(folder: Path, count: int) -> list[Clip]:
    return [
        clip_of(write_wav(folder / f"{number}.wav", pcm16(tone(0.05 + 0.01 * number))), None, str(number))
        for number in range(count)
    ]

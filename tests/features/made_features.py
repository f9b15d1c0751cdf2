"""Small feature caches whose content is known to the last bit."""

import contextlib
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vavl.features import CacheIdentity, ClipFeatures, FeatureCache, WindowFeatures

AUDIO_DIM, VISUAL_DIM = 3, 2
CLIPS = range(6)
Content = dict[str, tuple[list[tuple[Any, ...]], dict[str, str]]]


def identity(**changes: Any) -> CacheIdentity:
    """What made the small caches."""
    made: dict[str, Any] = {
        "dims": {"audio": AUDIO_DIM, "visual": VISUAL_DIM},
        "encoders": {"audio": "a" * 64, "visual": "b" * 64},
        "recipe": {"crop": {"size": 224, "thresholds": [0.6, 0.7, 0.7]}, "limits": {"window_s": 12.0}},
        "references": {"audio": "light", "visual": "light"},
    }
    return CacheIdentity(**{**made, **changes})


def random_rows(generator: np.random.Generator, rows: int, width: int) -> NDArray[np.float32]:
    """Features (rows, width) without a structure."""
    return generator.standard_normal((rows, width), np.float32)


def clip_features(number: int) -> ClipFeatures:
    """The features of clip ``number``: in turn paired, without picture, without sound, of two windows, of none."""
    generator = np.random.default_rng(number)
    audio, visual = random_rows(generator, 1 + number % 4, AUDIO_DIM), random_rows(generator, 2, VISUAL_DIM)
    return [
        ClipFeatures((WindowFeatures(audio, visual, 1.5, 2.5),)),
        ClipFeatures((WindowFeatures(audio, None, 0.25),), {"visual": "no_face"}),
        ClipFeatures((WindowFeatures(None, visual, 0.0, 0.5),), {"audio": "silence"}),
        ClipFeatures((WindowFeatures(audio, visual, 12.0, 12.0), WindowFeatures(audio[:1], None, 0.75))),
        ClipFeatures((), {"audio": "too_short", "visual": "no_face"}),
    ][number % 5]


def name(number: int) -> str:
    """Id of clip ``number``; what JSON has to escape is in it."""
    return f'clip "{number}" é\n'


def add(cache: FeatureCache, numbers: Iterable[int]) -> None:
    """Add clips by number."""
    for number in numbers:
        cache.add(name(number), f"print {number}", clip_features(number))


def fill(folder: Path, numbers: Iterable[int]) -> Path:
    """Add clips by number to the cache of a folder."""
    with FeatureCache(folder, identity(), writable=True) as cache:
        add(cache, numbers)
    return folder


def expected(numbers: Iterable[int]) -> Content:
    """What a cache of these clips must hold."""
    made = {name(number): clip_features(number) for number in numbers}
    return {clip: (_bits(features.windows), features.reasons) for clip, features in made.items()}


def content(cache: FeatureCache) -> Content:
    """What a cache holds, to the last bit."""
    return {clip: (_bits(cache.windows(clip)), dict(cache.reasons(clip))) for clip in cache}


def read(folder: Path) -> Content:
    """What the cache of a folder holds."""
    with FeatureCache(folder) as cache:
        return content(cache)


def _bits(windows: Iterable[WindowFeatures]) -> list[tuple[Any, ...]]:
    def bits(values: NDArray[Any] | None) -> tuple[Any, ...] | None:
        return None if values is None else (values.shape, values.dtype.str, values.tobytes())

    return [(bits(w.audio), bits(w.visual), w.audio_seconds, w.visual_seconds) for w in windows]


@contextlib.contextmanager
def copy_of(cache: Path) -> Iterator[Path]:
    """A copy of a cache, for a test to damage."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(shutil.copytree(cache, Path(folder) / "copy"))


def assert_same(windows: list[WindowFeatures], wanted: tuple[WindowFeatures, ...]) -> None:
    """The same windows, to the last bit."""
    assert len(windows) == len(wanted)
    for got, want in zip(windows, wanted, strict=True):
        for values, made in ((got.audio, want.audio), (got.visual, want.visual)):
            assert (values is None) == (made is None)
            if values is not None and made is not None:
                assert values.dtype == made.dtype and values.tobytes() == made.tobytes()
        assert (got.audio_seconds, got.visual_seconds) == (want.audio_seconds, want.visual_seconds)


def assert_resumes(folder: Path, numbers: range) -> set[int]:
    """Whatever is visible is right; what is missing can be added. The clips that were there."""
    there = {number for number in numbers if name(number) in read(folder)}
    assert read(folder) == expected(sorted(there))
    with FeatureCache(folder, identity(), writable=True) as cache:
        assert content(cache) == expected(sorted(there))
        missing = [number for number in numbers if not cache.is_current(name(number), f"print {number}")]
        assert set(missing) == set(numbers) - there
        add(cache, missing)
    assert read(folder) == expected([*sorted(there), *missing])
    return there


def add_until_killed(folder: Path, numbers: range) -> None:
    """Add clips, slowly enough that it takes long to add many, and wait for the end."""
    with FeatureCache(folder, identity(), writable=True) as cache:
        for number in numbers:
            add(cache, [number])
            time.sleep(0.002)
    time.sleep(60)

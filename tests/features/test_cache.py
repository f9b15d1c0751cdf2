"""The feature cache: bit-exact, one writer and many readers, and never taken for another."""

import multiprocessing
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.features.made_features import (
    AUDIO_DIM,
    CLIPS,
    VISUAL_DIM,
    add,
    add_until_killed,
    assert_same,
    clip_features,
    content,
    copy_of,
    expected,
    fill,
    identity,
    name,
    read,
)
from vavl.errors import ConfigError
from vavl.features import ClipFeatures, FeatureCache, WindowFeatures
from vavl_runtime.errors import InputError

some = settings(max_examples=60, deadline=None)
fork = multiprocessing.get_context("fork")  # the child needs nothing but what is imported already


def rows(dim: int) -> st.SearchStrategy[Any]:
    finite = st.floats(allow_nan=False, allow_infinity=False, width=32)
    return st.none() | arrays(np.float32, st.tuples(st.integers(1, 4), st.just(dim)), elements=finite)


SECONDS = st.floats(0, 60)
ANY_CLIPS = st.dictionaries(
    st.text(max_size=8),
    st.builds(
        ClipFeatures,
        st.lists(st.builds(WindowFeatures, rows(AUDIO_DIM), rows(VISUAL_DIM), SECONDS, SECONDS), max_size=3).map(tuple),
        st.dictionaries(st.sampled_from(["audio", "visual"]), st.sampled_from(["silence", "no_face"])),
    ),
    max_size=4,
)


@some
@given(ANY_CLIPS)
def test_what_goes_in_comes_out(clips: dict[str, ClipFeatures]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        with FeatureCache(Path(folder), identity(), writable=True) as cache:
            for clip, features in clips.items():
                cache.add(clip, f"print of {clip}", features)
                assert_same(cache.windows(clip), features.windows)  # at once, while it is being filled
        with FeatureCache(Path(folder)) as cache:
            assert list(cache) == list(clips) and len(cache) == len(clips)
            for clip, features in clips.items():
                assert clip in cache and cache.is_current(clip, f"print of {clip}")
                assert_same(cache.windows(clip), features.windows)
                assert cache.reasons(clip) == features.reasons


def test_crops_are_kept_as_bytes(tmp_path: Path) -> None:
    """A cache of raw material holds samples and uint8 crops instead of features."""
    raw = identity(dims={"audio": 1, "visual": 12}, dtypes={"audio": "float32", "visual": "uint8"})
    crops = np.arange(24, dtype=np.uint8).reshape(2, 12)
    with FeatureCache(tmp_path, raw, writable=True) as cache:
        cache.add("clip", "print", ClipFeatures((WindowFeatures(None, crops),)))
    assert (tmp_path / "visual.bin").read_bytes() == crops.tobytes()
    with FeatureCache(tmp_path) as cache:
        assert_same(cache.windows("clip"), (WindowFeatures(None, crops),))


def test_reading_copies_nothing_and_cannot_write(filled: Path) -> None:
    with FeatureCache(filled) as cache:
        first, again = (cache.windows(name(0))[0].audio for _ in range(2))
        assert first is not None and again is not None
        assert np.shares_memory(first, again)
        with pytest.raises(ValueError, match="read-only"):
            first[:] = 0.0


def test_sittings_add_up(tmp_path: Path) -> None:
    for numbers in ([0, 1, 2], [], [3], [4, 5, 6]):
        fill(tmp_path, numbers)
    assert read(tmp_path) == expected(range(7))


def test_a_clip_with_other_media_is_not_current_and_is_replaced(tmp_path: Path) -> None:
    fill(tmp_path, range(3))
    with FeatureCache(tmp_path, identity(), writable=True) as cache:
        assert cache.is_current(name(1), "print 1")
        assert not cache.is_current(name(1), "print 1 after an edit")
        assert not cache.is_current("nobody", "print 1")
        cache.add(name(1), "print 1 after an edit", clip_features(7))
    with FeatureCache(tmp_path) as cache:
        assert not cache.is_current(name(1), "print 1")
        assert cache.is_current(name(1), "print 1 after an edit")
        assert len(cache) == 3
        assert_same(cache.windows(name(1)), clip_features(7).windows)
        assert_same(cache.windows(name(2)), clip_features(2).windows)


# Refused.

OTHERS = {
    "encoders.audio": {"encoders": {"audio": "c" * 64, "visual": "b" * 64}},
    "encoders.visual": {"encoders": {"audio": "a" * 64, "visual": "c" * 64}},
    "dims.visual": {"dims": {"audio": AUDIO_DIM, "visual": 9}},
    "dtypes.visual": {"dtypes": {"audio": "float32", "visual": "uint8"}},
    "recipe.crop.size": {"recipe": {**identity().recipe, "crop": {"size": 112, "thresholds": [0.6, 0.7, 0.7]}}},
    "recipe.crop.thresholds": {"recipe": {**identity().recipe, "crop": {"size": 224, "thresholds": [0.1, 0.7, 0.7]}}},
    "recipe.limits.window_s": {"recipe": {**identity().recipe, "limits": {"window_s": 6.0}}},
    "recipe.waveform_normalization.kind": {"recipe": {**identity().recipe, "waveform_normalization": {"kind": "none"}}},
}


@pytest.mark.parametrize("writable", [True, False])
@pytest.mark.parametrize("what", OTHERS)
def test_a_cache_made_by_something_else_is_refused(filled: Path, what: str, writable: bool) -> None:
    with copy_of(filled) as copy:
        other = replace(identity(), **OTHERS[what])
        with pytest.raises(ConfigError, match=f"made with other encoders.*{what} is .*, now .*; name another folder"):
            FeatureCache(copy, other, writable=writable)
        assert read(copy) == expected(CLIPS)
        FeatureCache(copy, identity(), writable=True).close()  # and the lock is free


def test_where_encoders_came_from_does_not_matter(filled: Path) -> None:
    with copy_of(filled) as copy:
        moved = replace(identity(), references={"audio": "elsewhere/light", "visual": "light"})
        with FeatureCache(copy, moved, writable=True) as cache:
            assert len(cache) == len(CLIPS)
            assert cache.identity.references == identity().references


def test_one_writer_at_a_time_and_any_number_of_readers(tmp_path: Path) -> None:
    with FeatureCache(tmp_path, identity(), writable=True) as cache:
        add(cache, [0])
        with pytest.raises(ConfigError, match="another process is writing to this feature cache; wait until it ends"):
            FeatureCache(tmp_path, identity(), writable=True)
        assert read(tmp_path) == expected([0])
        add(cache, [1])
        assert read(tmp_path) == expected([0, 1])
    fill(tmp_path, [2])
    assert read(tmp_path) == expected(range(3))


def test_a_reader_never_stumbles_over_a_writer(tmp_path: Path) -> None:
    fill(tmp_path / "cache", [0])
    child = fork.Process(target=add_until_killed, args=(tmp_path / "cache", range(1, 10**9)))
    child.start()
    seen = []
    try:
        started_s = time.monotonic()
        while len(seen) < 100 or (seen[-1] == seen[0] and time.monotonic() < started_s + 60):
            with FeatureCache(tmp_path / "cache") as cache:
                seen.append(len(cache))
                assert list(cache)[-1] == name(seen[-1] - 1)
                assert_same(cache.windows(name(seen[-1] - 1)), clip_features(seen[-1] - 1).windows)
    finally:
        child.kill()
        child.join()
    assert seen == sorted(seen) and seen[-1] > seen[0]


def test_a_writer_must_know_its_encoders(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="pass the identity of its encoders"):
        FeatureCache(tmp_path, writable=True)
    assert not list(tmp_path.iterdir())


def wrong_features() -> dict[str, tuple[ClipFeatures, str]]:
    good = np.zeros((2, AUDIO_DIM), np.float32)
    nan, infinite = good.copy(), good.copy()
    nan[1, 2], infinite[0, 0] = np.nan, -np.inf
    return {
        "width": (ClipFeatures((WindowFeatures(np.zeros((2, 4), np.float32), None),)), r"\(2, 4\), expected \(T, 3\)"),
        "rank": (ClipFeatures((WindowFeatures(np.zeros(3, np.float32), None),)), r"shape \(3,\), expected \(T, 3\)"),
        "empty": (ClipFeatures((WindowFeatures(good[:0], None),)), r"shape \(0, 3\), expected \(T, 3\)"),
        "nan": (ClipFeatures((WindowFeatures(nan, None),)), "audio features with NaN or infinities"),
        "infinite": (ClipFeatures((WindowFeatures(infinite, None),)), "audio features with NaN or infinities"),
        "too large": (ClipFeatures((WindowFeatures(np.full((2, 3), 1e300), None),)), "with NaN or infinities"),
        "later window": (
            ClipFeatures((WindowFeatures(good, None), WindowFeatures(None, np.full((1, 2), np.nan, np.float32)))),
            "visual features with NaN",
        ),
    }


@pytest.mark.parametrize("what", wrong_features())
def test_wrong_features_are_refused_and_leave_no_trace(tmp_path: Path, what: str) -> None:
    features, message = wrong_features()[what]
    with FeatureCache(tmp_path, identity(), writable=True) as cache:
        add(cache, [0])
        with pytest.raises(InputError, match=f"clip bad: .*{message}"):
            cache.add("bad", "print", features)
        add(cache, [1])
        assert content(cache) == expected([0, 1])
    assert read(tmp_path) == expected([0, 1])

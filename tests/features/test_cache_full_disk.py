"""A full or failing disk leaves the feature cache usable."""

import contextlib
import itertools
import os
import resource
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.features.made_features import (
    AUDIO_DIM,
    VISUAL_DIM,
    add,
    assert_resumes,
    assert_same,
    clip_features,
    content,
    expected,
    fill,
    identity,
    read,
)
from vavl.features import ClipFeatures, FeatureCache, WindowFeatures
from vavl_runtime.errors import OutputError


@contextlib.contextmanager
def files_end_at(size: int) -> Iterator[None]:
    """Let the system stop a write where a file would grow beyond ``size`` bytes, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def long_clip(number: int) -> ClipFeatures:
    generator = np.random.default_rng(number)
    audio, visual = generator.standard_normal((50, AUDIO_DIM)), generator.standard_normal((70, VISUAL_DIM))
    return ClipFeatures((WindowFeatures(audio.astype(np.float32), visual.astype(np.float32)),))


@pytest.mark.parametrize("size", [0, 1, 64, 130, 500, 640, 800, 1130, 1199])
def test_a_full_disk_leaves_the_cache_usable(tmp_path: Path, size: int) -> None:
    with FeatureCache(tmp_path, identity(), writable=True) as cache:
        cache.add("first", "1", long_clip(1))
        with files_end_at(size), pytest.raises(OutputError, match="cannot be written .*; free some space"):
            cache.add("lost", "2", long_clip(2))
        assert list(cache) == ["first"]
        assert_same(cache.windows("first"), long_clip(1).windows)
        with FeatureCache(tmp_path) as reader:
            assert_same(reader.windows("first"), long_clip(1).windows)
        cache.add("third", "3", long_clip(3))
        assert_same(cache.windows("third"), long_clip(3).windows)
    with FeatureCache(tmp_path) as cache:
        assert list(cache) == ["first", "third"]
        for number, clip in ((1, "first"), (3, "third")):
            assert_same(cache.windows(clip), long_clip(number).windows)


def test_a_disk_that_is_full_in_the_middle_of_a_line(tmp_path: Path) -> None:
    fill(tmp_path, [4])  # a clip without any row
    size = (tmp_path / "clips.jsonl").stat().st_size
    with FeatureCache(tmp_path, identity(), writable=True) as cache:
        for limit in range(size, size + 60, 7):
            with files_end_at(limit), pytest.raises(OutputError, match="free some space"):
                cache.add("lost", "print", clip_features(4))
            assert read(tmp_path) == expected([4])
        add(cache, [9])
    assert read(tmp_path) == expected([4, 9])


def test_a_full_disk_to_the_end(tmp_path: Path) -> None:
    fill(tmp_path, [0])
    with files_end_at(0), pytest.raises(OutputError, match="free some space"):
        fill(tmp_path, [1])
    assert read(tmp_path) == expected([0])
    assert_resumes(tmp_path, range(3))


@pytest.mark.parametrize("count", range(3))
def test_a_disk_that_fails_when_asked_to_be_sure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    with FeatureCache(tmp_path, identity(), writable=True) as cache:
        add(cache, [0])
        left = itertools.count(count, -1)

        def fail(_: int) -> None:
            if next(left) == 0:
                raise OSError(5, "Input/output error")

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", fail)
            with pytest.raises(OutputError, match="Input/output error"):
                cache.add("lost", "print", long_clip(2))
        add(cache, [1])
        assert content(cache) == expected([0, 1])
    assert read(tmp_path) == expected([0, 1])

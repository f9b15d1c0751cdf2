"""The feature cache: bit-exact, safe against being killed or a full disk, and never taken for another."""

import contextlib
import itertools
import json
import multiprocessing
import os
import random
import resource
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
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
    VISUAL_DIM,
    add,
    clip_features,
    content,
    expected,
    fill,
    identity,
    name,
    read,
)
from vavl.errors import ConfigError
from vavl.features import ClipFeatures, FeatureCache, WindowFeatures
from vavl_runtime.errors import InputError, OutputError

some = settings(max_examples=60, deadline=None)
CLIPS = range(6)
BINARIES = {"audio": "audio.bin", "visual": "visual.bin"}
fork = multiprocessing.get_context("fork")  # the child needs nothing but what is imported already


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of six clips, for tests to copy."""
    return fill(tmp_path_factory.mktemp("filled") / "cache", CLIPS)


@contextlib.contextmanager
def copy_of(cache: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(shutil.copytree(cache, Path(folder) / "copy"))


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


def assert_same(windows: list[WindowFeatures], wanted: tuple[WindowFeatures, ...]) -> None:
    assert len(windows) == len(wanted)
    for got, want in zip(windows, wanted, strict=True):
        for values, made in ((got.audio, want.audio), (got.visual, want.visual)):
            assert (values is None) == (made is None)
            if values is not None and made is not None:
                assert values.dtype == made.dtype and values.tobytes() == made.tobytes()
        assert (got.audio_seconds, got.visual_seconds) == (want.audio_seconds, want.visual_seconds)


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


# Killed.


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


def test_a_journal_cut_anywhere(filled: Path) -> None:
    journal = (filled / "clips.jsonl").read_bytes()
    ends = [0, *itertools.accumulate(len(line) for line in journal.splitlines(keepends=True))]
    with copy_of(filled) as copy:
        for cut in range(len(journal) + 1):
            (copy / "clips.jsonl").write_bytes(journal[:cut])
            complete = sum(end <= cut for end in ends[1:])
            assert read(copy) == expected(range(complete))


@some
@given(st.data())
def test_killed_in_the_middle_of_a_clip(filled: Path, data: st.DataObject) -> None:
    """Rows of a clip come before its line, so files end anywhere after what the journal claims."""
    journal = (filled / "clips.jsonl").read_bytes()
    with copy_of(filled) as copy:
        cut = data.draw(st.integers(0, len(journal)), "bytes of the journal")
        (copy / "clips.jsonl").write_bytes(journal[:cut])
        kept = [json.loads(line) for line in journal[:cut].splitlines(keepends=True) if line.endswith(b"\n")]
        for modality, file in BINARIES.items():
            spans = [window[modality] for line in kept for window in line["windows"] if window[modality]]
            claimed = identity().row_bytes(modality) * max((sum(span) for span in spans), default=0)
            tail = data.draw(st.binary(max_size=40), f"unclaimed {modality}")
            (copy / file).write_bytes((filled / file).read_bytes()[:claimed] + tail)
        assert assert_resumes(copy, CLIPS) == set(range(len(kept)))


def add_until_killed(folder: Path, numbers: range) -> None:
    with FeatureCache(folder, identity(), writable=True) as cache:
        add(cache, numbers)
    time.sleep(60)


def test_killed_at_random_moments(tmp_path: Path) -> None:
    chance, numbers, found = random.Random(0), range(400), set()
    for attempt in range(12):
        folder = tmp_path / str(attempt)
        child = fork.Process(target=add_until_killed, args=(folder, numbers))
        child.start()
        while not (folder / "clips.jsonl").exists():
            time.sleep(0.001)
        time.sleep(chance.uniform(0, 0.06))
        child.kill()
        child.join()
        there = len(read(folder))
        assert read(folder) == expected(range(there))
        found.add(there)
        assert assert_resumes(folder, range(there + 3)) == set(range(there))
    assert len(found) > 3  # it was interrupted at different moments indeed


def add_until_sync(folder: Path, count: int) -> None:
    """Be killed at the n-th time that something is made durable."""
    left = itertools.count(count, -1)
    os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL) if next(left) == 0 else None
    add_until_killed(folder, range(4))


@pytest.mark.parametrize("count", range(11))
def test_killed_at_every_step(tmp_path: Path, count: int) -> None:
    child = fork.Process(target=add_until_sync, args=(tmp_path / "cache", count))
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    (tmp_path / "cache").mkdir(exist_ok=True)
    if count:  # at the first step there is no description yet
        there = assert_resumes(tmp_path / "cache", range(5))
        assert there == set(range(len(there)))
    else:
        assert_resumes(fill(tmp_path / "cache", []), range(5))


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
        with pytest.raises(ConfigError, match=f"made by something else.*{what} is .*, now .*; name another folder"):
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
        with pytest.raises(ConfigError, match="another process is filling this feature cache; wait for it"):
            FeatureCache(tmp_path, identity(), writable=True)
        assert read(tmp_path) == expected([0])
        add(cache, [1])
        assert read(tmp_path) == expected([0, 1])
    fill(tmp_path, [2])
    assert read(tmp_path) == expected(range(3))


def test_a_reader_never_stumbles_over_a_writer(tmp_path: Path) -> None:
    fill(tmp_path / "cache", [0])
    child = fork.Process(target=add_until_killed, args=(tmp_path / "cache", range(1, 2000)))
    child.start()
    seen = []
    try:
        for _ in range(100):
            with FeatureCache(tmp_path / "cache") as cache:
                seen.append(len(cache))
                assert list(cache)[-1] == name(seen[-1] - 1)
                assert_same(cache.windows(name(seen[-1] - 1)), clip_features(seen[-1] - 1).windows)
    finally:
        child.kill()
        child.join()
    assert seen == sorted(seen) and seen[-1] > seen[0]


def test_a_writer_must_know_its_encoders(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="only be filled by encoders that are known"):
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


# Damaged, or no cache at all.


@pytest.mark.parametrize("file", BINARIES.values())
def test_rows_that_are_cut_off(filled: Path, file: str) -> None:
    whole = (filled / file).read_bytes()
    with copy_of(filled) as copy:
        for size in range(0, len(whole), 3):
            (copy / file).write_bytes(whole[:size])
            for known in (None, identity()):
                with pytest.raises(ConfigError, match=f"{file}: shorter than its journal says"):
                    FeatureCache(copy, known, writable=known is not None)


@pytest.mark.parametrize("file", BINARIES.values())
def test_rows_that_are_gone(filled: Path, file: str) -> None:
    with copy_of(filled) as copy:
        (copy / file).unlink()
        with pytest.raises(ConfigError, match=f"{file}: shorter than its journal says"):
            FeatureCache(copy)


def test_without_its_journal_a_cache_is_empty(filled: Path) -> None:
    """As after the very first moments of an extraction."""
    with copy_of(filled) as copy:
        (copy / "clips.jsonl").unlink()
        assert assert_resumes(copy, range(3)) == set()


def line(window: dict[str, Any] | None = None, **changes: Any) -> str:
    """A line of a journal, with changes to it or to its only window; what is None in ``changes`` is left out."""
    windows = [{"seconds": [1, 1], "audio": None, "visual": None, **window}] if window else []
    made = {"clip": "a", "fingerprint": "p", "reasons": {}, "windows": windows, **changes}
    return json.dumps({key: value for key, value in made.items() if value is not None})


DAMAGED = {
    "nonsense": "nonsense",
    "empty": "",
    "a list": "[]",
    "a number": "3",
    "null": "null",
    "an empty object": "{}",
    "no clip": line(clip=None),
    "no fingerprint": line(fingerprint=None),
    "no reasons": line(reasons=None),
    "no windows": line(windows=None),
    "odd clip": line(clip=["a"]),
    "odd windows": line(windows=3),
    "odd window": line(windows=[{"seconds": [1, 1]}]),
    "odd seconds": line({"seconds": [1]}),
    "half a span": line({"audio": [0]}),
    "a negative span": line({"audio": [-1, 1]}),
    "an empty span": line({"audio": [0, 0]}),
    "a broken span": line({"audio": [0, 0.5]}),
    "a text as span": line({"audio": "01"}),
}


@pytest.mark.parametrize("what", DAMAGED)
@pytest.mark.parametrize("writable", [True, False])
def test_a_damaged_journal(filled: Path, what: str, writable: bool) -> None:
    with copy_of(filled) as copy:
        before = (copy / "audio.bin").read_bytes()
        with (copy / "clips.jsonl").open("a") as journal:
            journal.write(DAMAGED[what] + "\n")
        with pytest.raises(ConfigError, match="clips.jsonl: damaged .*; remove the cache"):
            FeatureCache(copy, identity(), writable=writable)
        assert (copy / "audio.bin").read_bytes() == before


@some
@given(at=st.integers(0, 10_000), byte=st.integers(0, 255))
def test_a_flipped_byte_is_at_worst_an_error_of_ours(filled: Path, at: int, byte: int) -> None:
    with copy_of(filled) as copy:
        for file in ("clips.jsonl", "cache.json"):
            raw = bytearray((copy / file).read_bytes())
            raw[at % len(raw)] = byte
            (copy / file).write_bytes(raw)
            with contextlib.suppress(ConfigError):
                read(copy)


DESCRIPTIONS = {
    "nothing": "",
    "no JSON": "{",
    "a list": "[1]",
    "no version": "{}",
    "a part": '{"format_version": 1, "dims": {"audio": 3, "visual": 2}}',
    "odd widths": json.dumps({"format_version": 1, **vars(identity()), "dims": 3}),
    "one width": json.dumps({"format_version": 1, **vars(identity()), "dims": {"audio": 3}}),
    "odd type": json.dumps({"format_version": 1, **vars(identity()), "dtypes": {"audio": "many", "visual": "float32"}}),
}


@pytest.mark.parametrize("what", DESCRIPTIONS)
@pytest.mark.parametrize("writable", [True, False])
def test_a_damaged_description(filled: Path, what: str, writable: bool) -> None:
    with copy_of(filled) as copy:
        (copy / "cache.json").write_text(DESCRIPTIONS[what])
        with pytest.raises(ConfigError, match="not a feature cache .*; make one with: vavl-train features"):
            FeatureCache(copy, identity(), writable=writable)


def test_a_later_format(filled: Path) -> None:
    with copy_of(filled) as copy:
        description = json.loads((copy / "cache.json").read_text())
        (copy / "cache.json").write_text(json.dumps({**description, "format_version": 2}))
        with pytest.raises(ConfigError, match="feature cache format 2, this version reads 1"):
            FeatureCache(copy)


def test_folders_that_are_no_cache(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    for place in ("missing", "empty", "file"):
        with pytest.raises(ConfigError, match=f"{place}: not a feature cache"):
            FeatureCache(tmp_path / place)
    with pytest.raises(OutputError, match="cannot be written .*or choose another place"):
        FeatureCache(tmp_path / "file", identity(), writable=True)


@pytest.mark.parametrize("file", ["audio.bin", "visual.bin", "clips.jsonl"])
def test_files_of_somebody_else_are_never_overwritten(tmp_path: Path, file: str) -> None:
    (tmp_path / file).write_bytes(b"precious")
    with pytest.raises(ConfigError, match=f"holds {file} but no cache.json"):
        FeatureCache(tmp_path, identity(), writable=True)
    assert [path.name for path in tmp_path.iterdir() if path.name != ".lock"] == [file]
    assert (tmp_path / file).read_bytes() == b"precious"


# No space left.


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

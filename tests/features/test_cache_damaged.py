"""Damaged feature caches, and folders that hold something else, are refused and never overwritten."""

import contextlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.features.made_features import (
    assert_resumes,
    copy_of,
    identity,
    read,
)
from vavl.errors import ConfigError
from vavl.features import FeatureCache
from vavl_runtime.errors import OutputError

some = settings(max_examples=60, deadline=None)
BINARIES = {"audio": "audio.bin", "visual": "visual.bin"}


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


@pytest.mark.parametrize("file", BINARIES.values())
def test_rows_that_are_not_what_was_written(filled: Path, file: str) -> None:
    whole = (filled / file).read_bytes()
    with copy_of(filled) as copy:
        for at in range(0, len(whole), 3):
            (copy / file).write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
            with pytest.raises(
                ConfigError, match="features of clip .* were damaged after they were written; remove the"
            ):
                read(copy)


def without_checksums(cache: Path) -> None:
    """Make the journal what it was before it had checksums."""
    lines = [json.loads(line) for line in (cache / "clips.jsonl").read_text().splitlines()]
    for window in (window for line in lines for window in line["windows"]):
        del window["audio_crc32"], window["visual_crc32"]
    (cache / "clips.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_a_cache_without_checksums_is_read_and_added_to(filled: Path) -> None:
    with copy_of(filled) as copy:
        without_checksums(copy)
        assert read(copy) == read(filled)
        assert_resumes(copy, range(9))


def test_not_even_without_checksums_are_numbers_that_are_none_read(filled: Path) -> None:
    with copy_of(filled) as copy:
        without_checksums(copy)
        rows = bytearray((copy / "audio.bin").read_bytes())
        rows[:4] = np.float32(np.nan).tobytes()
        (copy / "audio.bin").write_bytes(rows)
        with pytest.raises(ConfigError, match="were damaged after they were written"):
            read(copy)


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
    "no width": json.dumps({"format_version": 1, **vars(identity()), "dims": {"audio": 0, "visual": 2}}),
    "negative width": json.dumps({"format_version": 1, **vars(identity()), "dims": {"audio": -3, "visual": 2}}),
    "objects": json.dumps(
        {"format_version": 1, **vars(identity()), "dtypes": {"audio": "object", "visual": "float32"}}
    ),
    "nested": "[" * 100_000,
    "odd type": json.dumps({"format_version": 1, **vars(identity()), "dtypes": {"audio": "many", "visual": "float32"}}),
}


@pytest.mark.parametrize("what", DESCRIPTIONS)
@pytest.mark.parametrize("writable", [True, False])
def test_a_damaged_description(filled: Path, what: str, writable: bool) -> None:
    with copy_of(filled) as copy:
        (copy / "cache.json").write_text(DESCRIPTIONS[what])
        with pytest.raises(ConfigError, match="not a feature cache .*; make one with vavl-train features"):
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

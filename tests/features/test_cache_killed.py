"""The feature cache survives being killed at any moment."""

import itertools
import json
import multiprocessing
import os
import random
import signal
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.features.made_features import (
    CLIPS,
    add_until_killed,
    assert_resumes,
    copy_of,
    expected,
    fill,
    identity,
    read,
)

some = settings(max_examples=60, deadline=None)
fork = multiprocessing.get_context("fork")  # the child needs nothing but what is imported already
BINARIES = {"audio": "audio.bin", "visual": "visual.bin"}


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


def test_killed_at_random_moments(tmp_path: Path) -> None:
    chance, numbers, found = random.Random(0), range(10**9), set()
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

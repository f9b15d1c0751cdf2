"""Reading ahead: nothing lost, nothing out of order, never further than allowed, and no thread left behind."""

import threading
import time
from collections.abc import Generator, Iterator
from typing import TypeVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vavl_runtime.bundle.manifest import CropRecipe, Limits
from vavl_runtime.errors import DamagedMediaError
from vavl_runtime.media import Frame, SoundBlock
from vavl_runtime.media.source import SAMPLE_RATE
from vavl_runtime.pipeline.availability import Presence
from vavl_runtime.pipeline.clip_reader import PREFETCH_BYTES, ClipReader, ModalityFaultError
from vavl_runtime.pipeline.context import ClipContext
from vavl_runtime.pipeline.threads import prefetch
from vavl_runtime.timing import WAIT, StageTimer

NAME = "reader of a test"
T = TypeVar("T")


def read(items: Iterator[T], limit: int) -> Generator[T, None, None]:
    return prefetch(items, lambda item: 1, limit, StageTimer(), NAME)


def threads(name: str = NAME) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == name]


@given(st.lists(st.one_of(st.none(), st.integers())), st.integers(1, 7))
def test_items_arrive_in_order(items: list[int | None], limit: int) -> None:
    assert list(read(iter(items), limit)) == items
    assert not threads()


@given(st.integers(0, 9), st.integers(1, 7))
def test_an_error_comes_after_the_items_before_it(before: int, limit: int) -> None:
    def broken() -> Iterator[int]:
        yield from range(before)
        raise DamagedMediaError("cut short")

    taken = []
    with pytest.raises(DamagedMediaError, match="cut short"):
        for item in read(broken(), limit):
            taken.append(item)
    assert taken == list(range(before))
    assert not threads()


@pytest.mark.parametrize(("size", "limit", "most"), [(1, 1, 1), (1, 5, 5), (4, 5, 2), (9, 5, 1)])
def test_it_reads_ahead_but_not_further_than_allowed(size: int, limit: int, most: int) -> None:
    seen: list[int] = []

    def source() -> Iterator[int]:
        for number in range(100):
            seen.append(number)
            yield number

    items = prefetch(source(), lambda item: size, limit, StageTimer(), NAME)
    assert not threads()  # nobody asked yet
    for taken in range(1, 4):
        next(items)
        deadline = time.monotonic() + 10
        while len(seen) < taken + most and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(0.02)  # time enough to go too far
        assert len(seen) == taken + most
    items.close()
    assert not threads()
    assert len(seen) == 3 + most


def test_a_reader_that_is_forgotten_ends() -> None:
    items = read(iter(range(100)), 2)
    next(items)
    assert threads()
    del items
    assert not threads()


def test_the_source_runs_in_the_thread_and_waiting_is_booked() -> None:
    timer = StageTimer()
    names = []

    def source() -> Iterator[int]:
        for number in range(3):
            names.append(threading.current_thread().name)
            yield number

    assert list(prefetch(timer.each("decode", source()), lambda item: 1, 2, timer, NAME)) == [0, 1, 2]
    assert names == [NAME] * 3
    busy = timer.budget().busy_s
    assert busy[NAME].keys() == {"decode"}
    assert busy[threading.current_thread().name].keys() == {WAIT}


class Breaks:
    """Sound that breaks in its second window, beside more frames than are read ahead."""

    name = "made"
    has_audio = has_video = True

    def sound(self) -> Iterator[SoundBlock]:
        yield SoundBlock(0.0, np.zeros(13 * SAMPLE_RATE, np.float32))
        raise DamagedMediaError("cut short")

    def frames(self) -> Iterator[Frame]:
        for number in range(2 * PREFETCH_BYTES // (64 * 64 * 3)):
            yield Frame(number / 25, np.zeros((64, 64, 3), np.uint8), 1 / 25)


def reader() -> ClipReader:
    source = Breaks()
    return ClipReader(ClipContext(source, CropRecipe(), Limits(), Presence(source, "auto", {}), StageTimer()), no_net)


def no_net(name: str, inputs: object) -> dict[str, object]:
    raise AssertionError("no crop is asked for")


def test_a_clip_that_breaks_leaves_no_thread() -> None:
    with pytest.raises(ModalityFaultError) as kept:  # the error, and whatever it refers to
        for _ in reader().windows():
            assert threads("frames")
    assert not threads("frames")
    assert kept.value.modality == "audio"


def test_a_clip_that_is_left_early_leaves_no_thread() -> None:
    windows = reader().windows()
    next(windows)
    assert threads("frames")
    windows.close()
    assert not threads("frames")

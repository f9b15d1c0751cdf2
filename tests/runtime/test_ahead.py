"""Reading ahead: nothing lost, nothing out of order, never further than allowed, and no thread left behind."""

import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vavl_runtime.ahead import ahead
from vavl_runtime.errors import DamagedMediaError
from vavl_runtime.timing import WAIT, StageTimer

NAME = "reader of a test"


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == NAME]


def wait_for_end() -> None:
    for thread in threads():
        thread.join(10)
    assert not threads()


@given(st.lists(st.one_of(st.none(), st.integers())), st.integers(1, 7))
def test_items_arrive_in_order(items: list[int | None], count: int) -> None:
    assert list(ahead(iter(items), count, StageTimer(), NAME)) == items
    wait_for_end()


@given(st.integers(0, 9), st.integers(1, 7))
def test_an_error_comes_after_the_items_before_it(before: int, count: int) -> None:
    def broken() -> Iterator[int]:
        yield from range(before)
        raise DamagedMediaError("cut short")

    taken = []
    with pytest.raises(DamagedMediaError, match="cut short"):
        for item in ahead(broken(), count, StageTimer(), NAME):
            taken.append(item)
    assert taken == list(range(before))
    wait_for_end()


@pytest.mark.parametrize("count", [1, 5])
def test_it_reads_ahead_but_not_further_than_allowed(count: int) -> None:
    read: list[int] = []

    def source() -> Iterator[int]:
        for number in range(100):
            read.append(number)
            yield number

    items = ahead(source(), count, StageTimer(), NAME)
    assert not threads()  # nobody asked yet
    for taken in range(1, 4):
        next(items)
        deadline = time.monotonic() + 10
        while len(read) < taken + count and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(0.02)  # time enough to go too far
        assert len(read) == taken + count
    items.close()
    wait_for_end()
    assert len(read) == 3 + count


def test_a_reader_that_is_forgotten_ends() -> None:
    items = ahead(iter(range(100)), 2, StageTimer(), NAME)
    next(items)
    assert threads()
    del items
    wait_for_end()


def test_the_source_runs_in_the_thread_and_waiting_is_booked() -> None:
    timer = StageTimer()
    names = []

    def source() -> Iterator[int]:
        for number in range(3):
            names.append(threading.current_thread().name)
            yield number

    assert list(ahead(timer.each("decode", source()), 2, timer, NAME)) == [0, 1, 2]
    assert names == [NAME] * 3
    busy = timer.budget().busy_s
    assert busy[NAME].keys() == {"decode"}
    assert busy[threading.current_thread().name].keys() == {WAIT}

"""Reading ahead: an iterator runs in a thread of its own, a bounded number of items before whoever uses them."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Generic, TypeVar

from vavl_runtime.timing import WAIT, StageTimer

T = TypeVar("T")


@dataclass(frozen=True)
class _Item(Generic[T]):
    value: T


@dataclass(frozen=True)
class _End:
    error: BaseException | None = None


def ahead(items: Iterator[T], count: int, timer: StageTimer, thread: str) -> Iterator[T]:
    """Pass items on in order, while a thread gets the next ones ready.

    The thread starts with the first item that is asked for, and ends with the last item, with an error, or soon after
    this iterator is closed or forgotten.

    Args:
        items: What to read; from then on only that thread runs it.
        count: Items that may be ready and not yet asked for, at least 1; it bounds the memory they take.
        timer: Where waiting for the thread is booked.
        thread: The thread's name, under which `StageTimer` shows its stages.

    Yields:
        The items.

    Raises:
        Exception: Whatever the items raise, after those before it.
    """
    ready: SimpleQueue[_Item[T] | _End] = SimpleQueue()
    room = threading.Semaphore(count)
    closed = threading.Event()

    def read() -> None:
        try:
            while room.acquire() and not closed.is_set():
                ready.put(_Item(next(items)))
        except StopIteration:
            ready.put(_End())
        except BaseException as error:  # raised again by whoever waits for the item
            ready.put(_End(error))

    # A daemon: what a killed or interrupted run no longer wants must not keep the process.
    threading.Thread(target=read, name=thread, daemon=True).start()
    try:
        while True:
            with timer.stage(WAIT):
                item: _Item[T] | _End | None = ready.get()
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            room.release()
            yield item.value
    finally:
        item = None  # else an error and this frame would keep each other alive
        closed.set()
        room.release()

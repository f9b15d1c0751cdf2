"""Reading ahead: an iterator runs in a thread of its own, a bounded number of items before whoever uses them."""

import threading
from collections.abc import Iterator
from queue import SimpleQueue
from typing import TypeVar

from vavl_runtime.timing import WAIT, StageTimer

T = TypeVar("T")


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
    ready: SimpleQueue[tuple[T] | None] = SimpleQueue()  # None is the end
    room = threading.Semaphore(count)
    closed = threading.Event()
    failed: list[BaseException] = []

    def read() -> None:
        try:
            while room.acquire() and not closed.is_set():
                ready.put((next(items),))
        except StopIteration:
            pass
        except BaseException as error:  # raised again by whoever waits for the item
            failed.append(error)
        ready.put(None)

    # A daemon: what a killed or interrupted run no longer wants must not keep the process.
    threading.Thread(target=read, name=thread, daemon=True).start()
    try:
        while True:
            with timer.stage(WAIT):
                item = ready.get()
            if item is None:
                if failed:
                    raise failed.pop()  # kept nowhere: an error and its frame would keep each other alive
                return
            room.release()
            yield item[0]
    finally:
        closed.set()
        room.release()

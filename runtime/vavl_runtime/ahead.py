"""Reading ahead: an iterator runs in a thread of its own, a bounded amount before whoever uses its items."""

import threading
from collections.abc import Callable, Generator, Iterator
from queue import SimpleQueue
from typing import TypeVar

from vavl_runtime.timing import WAIT, StageTimer

T = TypeVar("T")


def ahead(
    items: Iterator[T], size: Callable[[T], int], limit: int, timer: StageTimer, thread: str
) -> Generator[T, None, None]:
    """Pass items on in order, while a thread gets the next ones ready.

    The thread starts with the first item that is asked for. It ends with the last item or with an error; when this
    generator is closed, it ends with the item at hand, and closing waits for that.

    Args:
        items: What to read; from then on only that thread runs it.
        size: How much an item counts.
        limit: The thread goes on while what is ready and not yet asked for counts less than this; more than 0.
        timer: Where waiting for the thread is booked.
        thread: The thread's name, under which `StageTimer` shows its stages.

    Yields:
        The items.

    Raises:
        Exception: Whatever the items raise, after those before it.
    """
    ready: SimpleQueue[tuple[T] | None] = SimpleQueue()  # None is the end
    changed = threading.Condition()
    held, closed = 0, False
    failed: list[BaseException] = []

    def may_go_on() -> bool:
        return closed or held < limit

    def read() -> None:
        nonlocal held
        try:
            while True:
                with changed:
                    changed.wait_for(may_go_on)
                    if closed:
                        return
                item = next(items)
                with changed:
                    held += size(item)
                ready.put((item,))
        except StopIteration:
            pass
        except BaseException as error:  # raised again by whoever waits for the item
            failed.append(error)
        ready.put(None)

    # A daemon: what a killed or interrupted run no longer wants must not keep the process.
    reader = threading.Thread(target=read, name=thread, daemon=True)
    reader.start()
    try:
        while True:
            with timer.stage(WAIT):
                taken = ready.get()
            if taken is None:
                if failed:
                    raise failed.pop()  # kept nowhere: an error and its frame would keep each other alive
                return
            with changed:
                held -= size(taken[0])
                changed.notify()
            yield taken[0]
    finally:
        with changed:
            closed = True
            changed.notify()
        if reader is not threading.current_thread():  # the garbage collector runs in any thread
            reader.join()

"""Work in threads: `prefetch` reads items ahead of their use, `run_in_background` runs one call during a block."""

import contextlib
import threading
from collections.abc import Callable, Generator, Iterator
from queue import SimpleQueue
from typing import TypeVar

from vavl_runtime.timing import WAIT, StageTimer

T = TypeVar("T")


def prefetch(
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


@contextlib.contextmanager
def run_in_background(work: Callable[[], T], timer: StageTimer, thread: str) -> Iterator[Callable[[], T]]:
    """Run work in a thread during a ``with`` block, which does not end before the thread has.

    Args:
        work: What to run.
        timer: Where waiting for it is booked.
        thread: The thread's name, under which `StageTimer` shows its stages.

    Yields:
        A function that waits for the work and returns its result, or raises its error; to be called once.

    Raises:
        Exception: The error of the work, if it and the block fail: one after the other, the block had not begun.
    """
    results: list[T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:  # raised again in the thread that waits for the result
            failed.append(error)

    # A daemon: what an interrupted run no longer wants must not keep the process.
    worker = threading.Thread(target=run, name=thread, daemon=True)

    def result() -> T:
        with timer.stage(WAIT):
            worker.join()
        if failed:
            raise failed.pop()  # kept nowhere: an error and its frame would keep each other alive
        return results.pop()

    worker.start()
    try:
        yield result
    except Exception:
        worker.join()
        if failed:
            raise failed.pop() from None
        raise
    finally:
        worker.join()

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
    """Yield items in order, while a thread prepares the next ones.

    The thread starts when the first item is asked for. It ends after the last item or after an error. Closing this
    generator waits until the thread has finished its current item.

    Args:
        items: What to read; only the thread advances it.
        size: How much an item counts.
        limit: The thread pauses while prepared items count this much or more; above 0.
        timer: Where waiting for the thread is booked.
        thread: The thread's name, under which `StageTimer` shows its stages.

    Yields:
        The items.

    Raises:
        Exception: Whatever the items raise, once the items before it are taken.
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

    # Daemon thread, so that an interrupted run does not block process exit.
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
    """Run work in a thread during a ``with`` block; the end of the block waits for the thread.

    Args:
        work: What to run.
        timer: Where waiting for it is booked.
        thread: The thread's name, under which `StageTimer` shows its stages.

    Yields:
        A function that waits for the work and returns its result, or raises its error; to be called once.

    Raises:
        Exception: The error of the work; it wins over an error of the block, which would not have started without it.
    """
    results: list[T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:  # raised again in the thread that waits for the result
            failed.append(error)

    # Daemon thread, so that an interrupted run does not block process exit.
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

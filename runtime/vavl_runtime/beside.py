"""Work beside other work: one call runs in a thread of its own during a ``with`` block."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

from vavl_runtime.timing import WAIT, StageTimer

T = TypeVar("T")


@contextlib.contextmanager
def beside(work: Callable[[], T], timer: StageTimer, thread: str) -> Iterator[Callable[[], T]]:
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

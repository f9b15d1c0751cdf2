"""The one thread that does all that a backend does on a GPU."""

import atexit
import threading
import traceback
import weakref
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

from vavl_runtime.errors import BackendUnavailableError

T = TypeVar("T")
_Answer = tuple[Any, BaseException | None]

# While a CUDA graph is captured, CUDA refuses allocations in every thread of the process, and such an attempt breaks
# the capture. So the workers of a process, one for each open backend, work in turn.
_IN_TURN = threading.Lock()
_open: "weakref.WeakSet[GpuWorker]" = weakref.WeakSet()


class GpuWorker:
    """Runs calls in a thread of its own, one after the other.

    ONNX Runtime keeps CUDA graphs by thread: whoever runs a shape from another thread captures it again. So one thread
    loads, runs and closes, whichever threads call the backend. Handing a call over takes some 10 µs.

    Args:
        name: The thread's name.
    """

    def __init__(self, name: str) -> None:
        self._jobs: SimpleQueue[tuple[Callable[[], Any], SimpleQueue[_Answer]] | None] = SimpleQueue()
        self._closed = False
        self._entering = threading.Lock()  # nothing may be queued behind the end
        # A daemon, because the end of the program does not come to a thread that waits; `_close_all` ends it instead.
        self._thread = threading.Thread(target=_serve, args=(self._jobs,), name=name, daemon=True)
        self._thread.start()
        _open.add(self)
        # A backend that is dropped without being closed leaves no thread.
        weakref.finalize(self, self._jobs.put, None).atexit = False

    def call(self, work: Callable[[], T]) -> T:
        """Run something in the thread and wait for it.

        Args:
            work: What to run. It may call this worker again, but no other one: the workers take turns.

        Returns:
            Its result.

        Raises:
            BackendUnavailableError: The worker is closed, or was started before this process was forked.
            BaseException: The error of the work.
        """
        if threading.current_thread() is self._thread:
            return work()
        answers: SimpleQueue[_Answer] = SimpleQueue()
        with self._entering:
            if self._closed or not self._thread.is_alive():
                raise BackendUnavailableError(
                    "the backend is closed, or was opened before this process was forked; open a new one here"
                )
            self._jobs.put((work, answers))
        result, error = answers.get()
        if error is not None:
            try:
                raise error
            finally:
                del error  # an error and the frame that holds it would keep each other alive
        return result  # type: ignore[no-any-return]

    @property
    def closed(self) -> bool:
        """Whether the thread was told to end."""
        return self._closed

    def close(self) -> None:
        """Finish what was handed over and end the thread. Can be called again."""
        with self._entering:
            if not self._closed:
                self._closed = True
                self._jobs.put(None)
        if threading.current_thread() is not self._thread:
            self._thread.join()


def _serve(jobs: "SimpleQueue[tuple[Callable[[], Any], SimpleQueue[_Answer]] | None]") -> None:
    while (job := jobs.get()) is not None:
        work, answers = job
        with _IN_TURN:
            answer = _outcome(work)
        answers.put(answer)
        del job, work, answers, answer  # nothing of a call stays while the thread waits for the next


def _outcome(work: Callable[[], Any]) -> _Answer:
    try:
        return work(), None
    except BaseException as error:  # raised again in the thread that waits
        _forget_locals(error)
        return None, error


def _forget_locals(error: BaseException) -> None:
    """Let go of what the failed calls held. A session that did not open would live as long as its error."""
    traceback.clear_frames(error.__traceback__)
    for link in (error.__cause__, error.__context__):
        if link is not None:
            _forget_locals(link)


@atexit.register
def _close_all() -> None:
    """End the threads while they still can: later, a call would wait for a thread that no longer runs."""
    for worker in list(_open):
        worker.close()

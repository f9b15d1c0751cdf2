"""A worker process as its owner sees it."""

import contextlib
import multiprocessing
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection

from vavl_runtime.serving.messages import FromWorker, Reading, ToWorker
from vavl_runtime.serving.worker import work

END_S = 5.0  # a worker that was told to end and has not by then is killed


@dataclass(frozen=True)
class Ending:
    """How a process ended, as the end of a sentence, and whether it was because a clip took too long."""

    how: str
    out_of_time: bool = False


class WorkerProcess:
    """Starts a worker.

    Processes are spawned, not forked: a fork of a process with threads, or with a GPU in use, may hang.

    Args:
        reading: How clips are read.
        memory: Name of the shared memory.
        jobs: Number of workers.
        empty: The slots that it may fill.

    Attributes:
        connection: To the worker; ``connection.recv()`` gives `FromWorker`, or raises EOFError if it has ended.
    """

    def __init__(self, reading: Reading, memory: str, jobs: int, empty: list[int]) -> None:
        context = multiprocessing.get_context("spawn")
        self._sending = threading.Lock()
        self.connection: Connection[ToWorker, FromWorker]
        self.connection, theirs = context.Pipe()
        self._process = context.Process(
            target=work, args=(theirs, reading, memory, jobs, empty), name="vavl-reader", daemon=True
        )
        with _without_interrupts():
            self._process.start()
        theirs.close()  # so that reading ends when the worker does

    def send(self, message: ToWorker) -> None:
        """Send a message, from any thread. One to a worker that has ended is lost; `connection` tells of the end."""
        with self._sending, contextlib.suppress(BrokenPipeError, ConnectionResetError):
            if not self.connection.closed:
                self.connection.send(message)

    def ended(self) -> Ending:
        """Wait for a worker that has hung up, and say how it ended."""
        self.close()
        code = self._process.exitcode
        if code is not None and code < 0:
            with contextlib.suppress(ValueError):  # a signal without a name
                name = signal.Signals(-code).name
                return Ending(f"was ended by {name}", out_of_time=name == "SIGALRM")
        return Ending(f"ended with exit code {code}")

    def terminate(self) -> None:
        """Tell it to end now."""
        self._process.terminate()

    def close(self) -> None:
        """Wait until it has ended; kills it if it does not end by itself."""
        self._process.join(END_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        with self._sending:
            self.connection.close()


@contextlib.contextmanager
def _without_interrupts() -> Iterator[None]:
    """Start processes that ignore Ctrl-C from their first instruction; the owner ends them."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

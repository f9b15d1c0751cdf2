"""The thread that does all that a backend does on a GPU."""

import gc
import subprocess
import sys
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest

from vavl_runtime.backends.ort.worker import GpuWorker
from vavl_runtime.errors import BackendUnavailableError


def test_all_calls_run_in_one_thread() -> None:
    worker = GpuWorker("gpu")
    with ThreadPoolExecutor(4) as callers:
        names = set(callers.map(lambda _: worker.call(lambda: threading.current_thread().name), range(40)))
    worker.close()
    assert names == {"gpu"}


def test_errors_come_back_to_the_caller() -> None:
    worker = GpuWorker("gpu")
    with pytest.raises(ZeroDivisionError):
        worker.call(lambda: 1 / 0)
    with pytest.raises(KeyboardInterrupt):
        worker.call(_interrupt)
    assert worker.call(lambda: 7) == 7
    worker.close()


def _interrupt() -> None:
    raise KeyboardInterrupt


def test_a_call_may_call_again() -> None:
    worker = GpuWorker("gpu")
    assert worker.call(lambda: worker.call(lambda: 7)) == 7
    worker.close()


def test_workers_take_turns() -> None:
    """An allocation of one would break a capture of the other."""
    busy = threading.Lock()

    def alone() -> bool:
        if not busy.acquire(blocking=False):
            return False
        time.sleep(0.002)
        busy.release()
        return True

    workers = [GpuWorker("one"), GpuWorker("two")]
    with ThreadPoolExecutor(4) as callers:
        assert all(callers.map(lambda index: workers[index % 2].call(alone), range(40)))
    for worker in workers:
        worker.close()


def test_a_closed_worker_refuses_and_has_no_thread() -> None:
    before = threading.active_count()
    worker = GpuWorker("gpu")
    worker.close()
    worker.close()
    assert threading.active_count() == before
    with pytest.raises(BackendUnavailableError, match="the backend is closed"):
        worker.call(lambda: 7)


def test_a_dropped_worker_has_no_thread() -> None:
    worker = GpuWorker("dropped")
    (thread,) = (thread for thread in threading.enumerate() if thread.name == "dropped")
    worker.call(lambda: 7)
    del worker
    gc.collect()
    thread.join(timeout=10)
    assert not thread.is_alive()


def test_closing_while_threads_call_does_not_hang() -> None:
    worker = GpuWorker("gpu")

    def call_until_closed() -> int:
        calls = 0
        try:
            while True:
                calls += worker.call(lambda: 1)
        except BackendUnavailableError:
            return calls

    with ThreadPoolExecutor(4) as callers:
        counts = [callers.submit(call_until_closed) for _ in range(4)]
        worker.call(lambda: time.sleep(0.01))
        worker.close()
        assert all(count.result(timeout=10) >= 0 for count in counts)


class _Memory:
    pass


def test_a_failed_call_holds_nothing() -> None:
    """What it had opened is closed although its caller keeps the error."""
    worker = GpuWorker("gpu")
    seen: list[weakref.ref[_Memory]] = []

    def open_and_fail() -> None:
        memory = _Memory()
        seen.append(weakref.ref(memory))
        raise ValueError("no memory")

    def wrap() -> None:
        try:
            open_and_fail()
        except ValueError as error:
            raise RuntimeError("cannot open") from error

    with pytest.raises(RuntimeError) as caught:
        worker.call(wrap)
    gc.collect()
    assert seen[0]() is None, caught
    worker.close()


_PROGRAM = """
import threading, time
from vavl_runtime.backends.ort.worker import GpuWorker
worker = GpuWorker("gpu")
threading.Thread(target=lambda: worker.call(lambda: time.sleep(0.2)), daemon=True).start()
print(worker.call(lambda: 7))
"""


def test_a_program_ends_without_closing() -> None:
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout) == (0, "7\n"), done.stderr

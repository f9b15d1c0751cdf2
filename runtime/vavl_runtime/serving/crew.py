"""The worker processes, each in its place, and which of their slots are full."""

import threading
from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import Any

from vavl_runtime.serving.messages import Free, FromWorker, Reading, ToWorker
from vavl_runtime.serving.processes import Ending, WorkerProcess
from vavl_runtime.serving.slots import SLOTS, Slots


class Crew:
    """Starts, replaces and ends workers. Any thread may call it.

    Args:
        reading: How clips are read.
        slots: The slots of all places.
        jobs: How many places there are.
    """

    def __init__(self, reading: Reading, slots: Slots, jobs: int) -> None:
        self._reading = reading
        self._slots = slots
        self._jobs = jobs
        self._lock = threading.Lock()
        self._workers: list[WorkerProcess] = []  # by place
        self._full: set[int] = set()
        self._closed = False

    def grow(self) -> bool:
        """Start a worker unless every place has one; tells whether it did."""
        with self._lock:
            if self._closed or len(self._workers) == self._jobs:
                return False
            self._workers.append(self._start(len(self._workers)))
            return True

    def ended(self, place: int) -> Ending:
        """Wait for the worker in a place, which has hung up, and tell how it ended."""
        return self._workers[place].ended()

    def replace(self, place: int) -> None:
        """Start a new worker in a place."""
        with self._lock:
            if not self._closed:
                self._workers[place] = self._start(place)

    def send(self, place: int, message: ToWorker) -> None:
        """Send a message to the worker in a place."""
        self._workers[place].send(message)

    def receive(self, place: int) -> FromWorker:
        """Take the next message of a worker.

        Raises:
            EOFError: It has ended.
        """
        message: FromWorker = self._workers[place].connection.recv()
        return message

    def fill(self, slot: int) -> None:
        """Note that a worker has filled a slot."""
        with self._lock:
            self._full.add(slot)

    def free(self, slot: int) -> None:
        """Give an empty slot back to the worker in its place, which may be another one by now."""
        with self._lock:
            self._full.discard(slot)
            worker = self._workers[slot // SLOTS]
        worker.send(Free(slot))

    def connections(self) -> Mapping["Connection[Any, Any]", int]:
        """Place by connection."""
        with self._lock:
            places = enumerate(self._workers)
            return {worker.connection: place for place, worker in places if not worker.connection.closed}

    def terminate(self) -> None:
        """Tell all workers to end, and start no more."""
        with self._lock:
            self._closed = True
        for worker in self._workers:
            worker.terminate()

    def close(self) -> None:
        """Wait for all workers, which were told to end."""
        for worker in self._workers:
            worker.close()

    def _start(self, place: int) -> WorkerProcess:
        # What an earlier worker left in its slots may still wait for the graphs.
        empty = [slot for slot in range(place * SLOTS, (place + 1) * SLOTS) if slot not in self._full]
        return WorkerProcess(self._reading, self._slots.name, self._jobs, empty)

"""Several processes read clips for the one that owns the graphs; results come in the order of the clips.

processes: decode, detect, track, crop ─ shared memory → lanes: encoders, paths ─ aggregate → results

Three kinds of threads work in the owner. One listens to the processes, lanes run graphs, and the caller's own takes
clips from its iterable and hands out results. `Desk` guards what they share.
"""

import atexit
import threading
from collections.abc import Generator, Iterator
from multiprocessing import Pipe
from multiprocessing.connection import wait

from vavl_runtime.media import Clip
from vavl_runtime.pipeline.graph_runner import GraphRunner
from vavl_runtime.result import BundleIdentity, ClipResult
from vavl_runtime.serving.crew import Crew
from vavl_runtime.serving.desk import Desk
from vavl_runtime.serving.lanes import Lane, lane_count
from vavl_runtime.serving.messages import Crops, Reading, Sound
from vavl_runtime.serving.slots import Slots


def serve(
    clips: Iterator[Clip],
    graphs: GraphRunner,
    identity: BundleIdentity,
    reading: Reading,
    *,
    all_paths: bool,
    jobs: int,
) -> Generator[ClipResult, None, None]:
    """Predict clips with several processes that read them. They end, and their memory is freed, with the generator.

    Args:
        clips: Clips; some are taken before their turn: as many as are being read, and as many again.
        graphs: The graphs, in this process.
        identity: Which bundle it is.
        reading: How clips are read.
        all_paths: Where a window has both modalities, run the unimodal paths too.
        jobs: How many processes.

    Yields:
        One result a clip, in order.

    Raises:
        WorkerLostError: A process ended while it started.
        OutputError: There is not enough shared memory.
        VavlError: What a graph or the bundle raises.
    """
    taken = given = 0
    more = True
    fault: Exception | None = None
    server = _Server(graphs, identity, reading, all_paths, jobs)
    try:
        while more or given < taken:
            while more and server.desk.wants_clip(given, taken):
                try:
                    clip = next(clips)
                except StopIteration:
                    more = False
                except Exception as error:  # raised where its clip's turn would be
                    more, fault = False, error
                else:
                    server.add(taken, clip)
                    taken += 1
            if given < taken:
                result = server.desk.await_result(given, taken, more)
                if result is not None:
                    given += 1
                    yield result
        if fault is not None:
            raise fault
    finally:
        server.close()


class _Server:
    def __init__(
        self, graphs: GraphRunner, identity: BundleIdentity, reading: Reading, all_paths: bool, jobs: int
    ) -> None:
        backend = graphs.backend
        self.desk = Desk(backend, reading, identity, all_paths=all_paths, jobs=jobs)
        self._slots = Slots(reading.manifest, jobs)
        self._crew = Crew(reading, self._slots, jobs)
        self._closed = False
        self._wakes, self._wake = Pipe(duplex=False)
        # A program may end without closing the generator.
        atexit.register(self.close)
        lanes = range(lane_count(backend, jobs))
        self._threads = [Lane(self.desk, self._crew, graphs, self._slots).thread for _ in lanes]
        # Daemon thread, so that an interrupted run does not block process exit.
        self._threads.append(threading.Thread(target=self._listen, name="listener", daemon=True))
        self._threads[-1].start()

    def add(self, number: int, clip: Clip) -> None:
        """Take a clip; starts a worker for it if there is a place left."""
        self.desk.add(number, clip)
        if self._crew.grow():
            self._wake.send(None)
        self._assign()

    def close(self) -> None:
        """End processes and threads, and give the memory back."""
        if self._closed:
            return
        self._closed = True
        atexit.unregister(self.close)
        self.desk.close()
        self._crew.terminate()
        self._wake.send(None)
        for thread in self._threads:
            if thread is not threading.current_thread():  # the garbage collector runs in any thread
                thread.join()
        self._crew.close()
        self._wake.close()
        self._wakes.close()
        self._slots.close(unlink=True)

    def _listen(self) -> None:
        try:
            while not self._closed:
                places = self._crew.connections()
                for heard in wait([*places, self._wakes]):
                    if heard is self._wakes:
                        self._wakes.recv()
                    else:
                        self._hear(places[heard])  # type: ignore[index]  # a connection, as given
        except BaseException as error:  # raised again where results are awaited
            self.desk.fail(error)

    def _hear(self, place: int) -> None:
        try:
            message = self._crew.receive(place)
        except (EOFError, ConnectionResetError):
            if self.desk.lose(place, self._crew.ended(place)):
                self._crew.replace(place)
        else:
            if isinstance(message, (Sound, Crops)):
                self._crew.fill(message.slot)
            if not self.desk.hear(place, message) and isinstance(message, (Sound, Crops)):
                self._crew.free(message.slot)
        self._assign()

    def _assign(self) -> None:
        for place, message in self.desk.assign():
            self._crew.send(place, message)

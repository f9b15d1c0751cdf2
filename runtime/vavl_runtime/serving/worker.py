"""A process that reads clips: it decodes, finds faces, and puts sound and face crops into shared memory.

It runs the nets of the face detector itself, on the CPU with one thread. It never imports PyTorch.
"""

import pickle
import signal
import traceback
from dataclasses import replace
from functools import partial
from multiprocessing.connection import Connection

from vavl_runtime.backends.ort.cpu import OnnxRuntimeBackend
from vavl_runtime.bundle import Bundle
from vavl_runtime.errors import GraphFailedError, InputError, OverLimitError
from vavl_runtime.media import Source, name_of, open_source
from vavl_runtime.media.open import Portable
from vavl_runtime.pipeline.attempts import Faults, without_broken
from vavl_runtime.pipeline.availability import Presence
from vavl_runtime.pipeline.clip_reader import ClipReader, FaceCrops
from vavl_runtime.pipeline.context import ClipContext
from vavl_runtime.pipeline.graph_runner import GraphRunner
from vavl_runtime.serving.messages import (
    Broken,
    Crops,
    Done,
    Failed,
    Free,
    FromWorker,
    Reading,
    Ready,
    Restart,
    Sound,
    ToWorker,
    WindowEnd,
)
from vavl_runtime.serving.restraints import Deadline, holds_much, limit_memory
from vavl_runtime.serving.slots import CROPS, Slots
from vavl_runtime.timing import WAIT, StageTimer


def work(
    connection: "Connection[FromWorker, ToWorker]", reading: Reading, memory: str, jobs: int, empty: list[int]
) -> None:
    """Read clips until the owner hangs up; the main function of the process.

    Args:
        connection: To the owner.
        reading: How clips are read.
        memory: Name of the shared memory.
        jobs: Number of workers.
        empty: The slots that it may fill.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the owner is interrupted, too, and ends its workers
    slots = Slots(reading.manifest, jobs, memory)
    try:
        try:
            _Worker(connection, reading, slots, empty).serve()
        except (EOFError, BrokenPipeError, ConnectionResetError):
            return  # the owner is gone, or has closed its end
        except BaseException as error:
            connection.send(Broken(_portable(error)))
    finally:
        slots.close(unlink=False)


class _Worker:
    def __init__(
        self, connection: "Connection[FromWorker, ToWorker]", reading: Reading, slots: Slots, empty: list[int]
    ) -> None:
        self._connection = connection
        self._reading = reading
        self._slots = slots
        self._empty = empty
        bundle = Bundle(reading.root, reading.manifest, reading.sha256)
        self._graphs = GraphRunner(bundle, OnnxRuntimeBackend(threads=1), "auto")
        self._limits = reading.limits
        self._deadline = Deadline(reading.limits.time)
        limit_memory(reading.limits.memory)

    def serve(self) -> None:
        """Say that the process has started, and read clip after clip."""
        self._connection.send(Ready())
        while True:
            message = self._connection.recv()
            if isinstance(message, Free):
                self._empty.append(message.slot)
                continue
            with self._deadline.watch():
                end = self._read(message.clip)
            end = replace(end, last=end.last or holds_much(self._limits.memory))
            self._connection.send(end)
            if end.last:
                return

    def _read(self, clip: Portable) -> Done | Failed:
        timer = StageTimer()
        try:
            with timer.stage("open"):
                manifest = self._reading.manifest
                source = open_source(
                    clip,
                    manifest.limits,
                    timer,
                    streams=self._reading.streams,
                    clip_limits=self._limits,
                    decoder_threads=1,
                )
            return without_broken(partial(self._attempt, source, timer), self._reading.use)
        except InputError as error:
            return Failed(error)
        except GraphFailedError as error:  # of the face detector; mostly for want of memory
            return Failed(error, last=True)
        except MemoryError:
            megabytes = self._limits.memory / 1e6
            what = f"{name_of(clip)}: reading it takes more than {megabytes:.0f} MB of memory"
            return Failed(OverLimitError(f"{what}; raise the limit if you trust the file"), last=True)

    def _attempt(self, source: Source, timer: StageTimer, faults: Faults) -> Done:
        if faults:
            self._connection.send(Restart())
        reading = self._reading
        presence = Presence(source, reading.use, faults)
        context = ClipContext(source, reading.crop, reading.manifest.limits, presence, timer, reading.stride)
        reader = ClipReader(context, partial(self._graphs.run, timer=timer))
        windows = reader.windows()
        try:
            for sound, faces in timer.each("window", windows):
                if sound is not None:
                    slot = self._empty_slot(timer)
                    self._slots.write_sound(slot, sound.samples)
                    self._connection.send(Sound(slot, len(sound.samples), sound.start_s, sound.end_s))
                if faces is not None:
                    self._send_crops(faces, timer)
                self._deadline.next_step()
                seconds = faces.seconds if faces is not None else 0.0
                self._connection.send(WindowEnd(seconds, faces.stretch() if faces and faces.times_s else None))
        finally:
            windows.close()
        return Done(presence, faults, reader.duration_s, timer.budget(), source.notes(), source.streams())

    def _send_crops(self, faces: FaceCrops, timer: StageTimer) -> None:
        slot, held = -1, 0
        for crop in faces.crops:
            if held == 0:
                slot = self._empty_slot(timer)
            with timer.stage("crop"):
                self._slots.write_crop(slot, held, crop)
            held += 1
            if held == CROPS:
                self._connection.send(Crops(slot, tuple(faces.times_s[-held:])))
                held = 0
        if held:
            self._connection.send(Crops(slot, tuple(faces.times_s[-held:])))

    def _empty_slot(self, timer: StageTimer) -> int:
        """Take an empty slot; waits for the owner if all are full."""
        while self._connection.poll() or not self._empty:
            with timer.stage(WAIT), self._deadline.paused():
                self._take_back(self._connection.recv())
        return self._empty.pop()

    def _take_back(self, message: ToWorker) -> None:
        assert isinstance(message, Free)  # the owner gives a clip only to a worker that has none
        self._empty.append(message.slot)


def _portable(error: BaseException) -> BaseException:
    """The error itself if another process can unpickle it, else one with its traceback as text."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # whatever a class that we do not know raises
        return RuntimeError("".join(traceback.format_exception(error)))
    return error

"""Threads that run graphs: they take what waits, and give back what the graphs say."""

import threading
from functools import partial
from typing import Any

from vavl_runtime.backends.base import Backend
from vavl_runtime.errors import InputError
from vavl_runtime.pipeline.graph_runner import GraphRunner
from vavl_runtime.serving.batches import Outputs, encode_faces, encode_sounds, run_path
from vavl_runtime.serving.clip_state import Item
from vavl_runtime.serving.crew import Crew
from vavl_runtime.serving.desk import Desk
from vavl_runtime.serving.slots import Slots
from vavl_runtime.timing import StageTimer


def lane_count(backend: Backend, jobs: int) -> int:
    """How many threads run graphs at once.

    Args:
        backend: What runs them.
        jobs: Processes that read clips.

    Returns:
        On the CPU as many as processes, since a graph runs on few threads there; on a GPU one, or two where the backend
        gains by running two graphs at once.
    """
    if backend.reentrant and not backend.info.on_gpu:
        return jobs
    return 2 if backend.overlaps else 1


class Lane:
    """One such thread. It starts at once and ends when the desk is closed.

    Args:
        desk: Says what to compute, and takes the results.
        crew: Takes slots that were emptied.
        graphs: The bundle's graphs.
        slots: Where sound and crops lie.

    Attributes:
        thread: The thread.
    """

    def __init__(self, desk: Desk, crew: Crew, graphs: GraphRunner, slots: Slots) -> None:
        self._desk = desk
        self._crew = crew
        self._graphs = graphs
        self._slots = slots
        # Daemon thread, so that an interrupted run does not block process exit.
        self.thread = threading.Thread(target=self._work, name="graphs", daemon=True)
        self.thread.start()

    def _work(self) -> None:
        try:
            while (items := self._desk.take()) is not None:
                inputs = [self._read(item) for item in items]
                kept = [number for number, item in enumerate(items) if not item.void]
                if kept:
                    self._compute([items[n] for n in kept], [inputs[n] for n in kept])
        except BaseException as error:  # raised again where results are awaited
            self._desk.fail(error)

    def _read(self, item: Item) -> Any:
        """The input of an item; empties its slot."""
        if item.run is not None:
            return item.run.inputs
        read = self._slots.read_sound if item.graph == "audio_encoder" else self._slots.read_crops
        content: Any = read(item.slot, item.size)
        self._crew.free(item.slot)
        return content

    def _compute(self, items: list[Item], inputs: list[Any]) -> None:
        timer = StageTimer()
        try:
            outputs = self._run(items[0], inputs, timer)
        except InputError as error:
            if len(items) == 1:
                self._desk.refuse(items[0], error)
                return
            for item, each in zip(items, inputs, strict=True):  # so that only the one at fault is refused
                self._compute([item], [each])
            return
        self._desk.give(items, outputs, timer.budget().stages_s)

    def _run(self, first: Item, inputs: list[Any], timer: StageTimer) -> Outputs:
        run = partial(self._graphs.run, timer=timer)
        if first.run is not None:
            with timer.stage("path"):
                return run_path(run, first.run.path, inputs)
        with timer.stage(first.graph):
            if first.graph == "audio_encoder":
                return encode_sounds(run, inputs)
            return encode_faces(run, inputs, self._desk.queue.face_rows)

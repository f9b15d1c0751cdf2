"""The owner's desk: which clip is where, what waits for the graphs, and results. One lock guards all of it."""

import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from vavl_runtime.backends.base import Backend
from vavl_runtime.errors import InputError, OverLimitError, VavlError, WorkerLostError
from vavl_runtime.media import Clip as AnyClip
from vavl_runtime.media import name_of
from vavl_runtime.media.open import Portable, to_portable
from vavl_runtime.pipeline.attempts import combined
from vavl_runtime.result import BundleIdentity, ClipResult
from vavl_runtime.serving.batches import Outputs
from vavl_runtime.serving.clip_state import Clip, Item, Pass, Seconds
from vavl_runtime.serving.messages import (
    Broken,
    Crops,
    Done,
    Failed,
    FromWorker,
    Read,
    Reading,
    Ready,
    Restart,
    Sound,
    WindowEnd,
)
from vavl_runtime.serving.processes import Ending
from vavl_runtime.serving.work_queue import WorkQueue
from vavl_runtime.timing import StageBudget

AHEAD = 16  # results, for each worker, that may wait for that of an earlier clip


@dataclass(frozen=True)
class _Task:
    """A clip that no worker has begun."""

    number: int
    name: str
    clip: Portable


class Desk:
    """Moves clips from tasks to results. Any thread may call it.

    Args:
        backend: What runs the graphs.
        reading: How clips are read.
        identity: Which bundle it is.
        all_paths: Where a window has both modalities, run the unimodal paths too.
        jobs: How many workers there are.

    Attributes:
        queue: What waits for the graphs.
    """

    def __init__(
        self, backend: Backend, reading: Reading, identity: BundleIdentity, *, all_paths: bool, jobs: int
    ) -> None:
        self.queue = WorkQueue(backend, reading.manifest)
        self._backend = backend
        self._manifest = reading.manifest
        self._limits = reading.limits
        self._identity = identity
        self._all_paths = all_paths
        self._jobs = jobs
        self._changed = threading.Condition()
        self._tasks: deque[_Task] = deque()
        self._started: set[int] = set()  # places whose worker is ready
        self._idle: set[int] = set()  # those of them that have no clip
        self._being_read: dict[int, Clip] = {}  # by place
        self._results: dict[int, ClipResult] = {}
        self._failure: BaseException | None = None
        self._closed = False

    def wants_clip(self, given: int, taken: int) -> bool:
        """Whether another clip should be taken now, after so many clips and so many results."""
        with self._changed:
            return self._has_room(given, taken) and given not in self._results and self._failure is None

    def add(self, number: int, clip: AnyClip) -> None:
        """Take a clip; one that cannot be sent to a worker gets its result at once."""
        name = name_of(clip)
        started_s = time.perf_counter()
        try:
            task = _Task(number, name, to_portable(clip))
        except InputError as error:
            with self._changed:
                self._conclude(Clip(number, name, started_s), error)
            return
        with self._changed:
            self._tasks.append(task)

    def await_result(self, number: int, taken: int, more: bool) -> ClipResult | None:
        """Wait for a result.

        Args:
            number: Of which clip.
            taken: Clips taken so far.
            more: Whether another clip can be taken instead.

        Returns:
            The result; None if another clip should be taken first.

        Raises:
            BaseException: The error of a graph, a lane or a worker that is no clip's own.
        """
        with self._changed:
            while not self._changed.wait_for(
                lambda: self._failure or number in self._results or (more and self._has_room(number, taken)),
                timeout=1.0,  # without one, Ctrl-C does not end the waiting on Windows
            ):
                pass
            if self._failure is not None:
                raise self._failure
            return self._results.pop(number, None)

    def _has_room(self, given: int, taken: int) -> bool:
        return len(self._tasks) < self._jobs and taken - given < AHEAD * self._jobs

    def assign(self) -> list[tuple[int, Read]]:
        """Give tasks to idle workers; returns what to send to which place."""
        sent = []
        with self._changed:
            while self._tasks and self._idle:
                place, task = self._idle.pop(), self._tasks.popleft()
                clip = Clip(task.number, task.name)
                self._begin(clip)
                self._being_read[place] = clip
                sent.append((place, Read(task.clip)))
            if sent:
                self._changed.notify_all()
        return sent

    def hear(self, place: int, message: FromWorker) -> bool:
        """Take a message of the worker in a place; False if what it filled a slot with is of no use."""
        with self._changed:
            if isinstance(message, Ready):
                self._started.add(place)
                self._idle.add(place)
            elif isinstance(message, Broken):
                self._failure = self._failure or message.error
            else:
                useful = self._hear_of_clip(place, message)
                self._changed.notify_all()
                return useful
            self._changed.notify_all()
        return True

    def _hear_of_clip(self, place: int, message: Restart | Sound | Crops | WindowEnd | Done | Failed) -> bool:
        clip = self._being_read[place]
        if isinstance(message, (Done, Failed)):
            del self._being_read[place]
            if not message.last:
                self._idle.add(place)
        current = clip.current
        if current is None:  # it has a result already: a graph refused a part of it
            return False
        if isinstance(message, Restart):
            self._begin(clip)
        elif isinstance(message, Sound):
            self.queue.add([current.sound(message)])
        elif isinstance(message, Crops):
            self.queue.add([current.crops(message.slot, message.times_s)])
        elif isinstance(message, WindowEnd):
            self.queue.add(current.end_window(message))
        elif isinstance(message, Failed):
            self._conclude(clip, message.error)
        else:
            current.done = message
            self._finish_if_complete(current)
        return True

    def lose(self, place: int, ending: Ending) -> bool:
        """Note that the worker in a place has ended, and how: its clip fails. Tells whether to start another one."""
        with self._changed:
            self._idle.discard(place)
            if self._closed:
                return False
            if place not in self._started:
                self._failure = self._failure or WorkerLostError(
                    f"a process that reads clips {ending.how} while it started; a program that uses jobs must start "
                    "its work under `if __name__ == '__main__':`, since each process imports it"
                )
            self._started.discard(place)
            clip = self._being_read.pop(place, None)
            if clip is not None and clip.current is not None:
                self._conclude(clip, self._loss(clip.name, ending))
            self._changed.notify_all()
            return self._failure is None

    def _loss(self, name: str, ending: Ending) -> VavlError:
        if ending.out_of_time:
            return OverLimitError(
                f"{name}: reading one window of it takes more than {self._limits.time:g} s; raise the limit if you "
                "trust the file"
            )
        return WorkerLostError(
            f"{name}: the process that read it {ending.how}; if memory ran out, use fewer jobs; else the file is "
            "damaged or hostile: re-encode it with ffmpeg"
        )

    def take(self) -> list[Item] | None:
        """Wait for what runs next; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self.queue)
            return None if self._closed else self.queue.take()

    def give(self, items: Sequence[Item], outputs: Outputs, seconds: Seconds) -> None:
        """Take what a graph gave for items, and the time that it took."""
        with self._changed:
            whole = sum(item.size for item in items)
            for item, output in zip(items, outputs, strict=True):
                if item.void:
                    continue
                for stage, value in seconds.items():
                    item.owner.busy_s[stage] = item.owner.busy_s.get(stage, 0.0) + value * item.size / whole
                self.queue.add(item.owner.accept(item, output))
                self._finish_if_complete(item.owner)
            self._changed.notify_all()

    def refuse(self, item: Item, error: InputError) -> None:
        """Take an item that a graph cannot compute: its clip fails."""
        with self._changed:
            if not item.void:
                self._conclude(item.owner.clip, error)
                self._changed.notify_all()

    def fail(self, error: BaseException) -> None:
        """Take an error that is no clip's: it ends everything."""
        with self._changed:
            self._failure = self._failure or error
            self._changed.notify_all()

    def close(self) -> None:
        """End the waiting of lanes."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _begin(self, clip: Clip) -> None:
        clip.current = Pass(clip, self._manifest, all_paths=self._all_paths)

    def _finish_if_complete(self, current: Pass) -> None:
        done = current.done
        if done is None or not current.complete:
            return
        if current.predictions.path is None and done.faults:
            self._conclude(current.clip, combined(dict(done.faults)))
            return
        self._results[current.clip.number] = self._result(current, done)
        current.clip.current = None

    def _conclude(self, clip: Clip, error: VavlError) -> None:
        seconds = time.perf_counter() - clip.started_s
        self._results[clip.number] = ClipResult.failed(clip.name, error, seconds, self._backend.info, self._identity)
        clip.current = None

    def _result(self, current: Pass, done: Done) -> ClipResult:
        path = current.predictions.path
        predictions = current.predictions.finish(self._manifest)
        total_s = time.perf_counter() - current.clip.started_s
        read = {"reader" if name == "MainThread" else name: busy for name, busy in done.budget.busy_s.items()}
        budget = StageBudget(
            total_s, done.budget.covered_s, done.budget.concurrent_s, {**read, "graphs": current.busy_s}
        )
        stages = {name: 1000.0 * seconds for name, seconds in budget.stages_s.items()}
        return ClipResult(
            clip=current.clip.name,
            path=path,
            prediction=predictions[path] if path else None,
            paths=predictions if self._all_paths else {key: value for key, value in predictions.items() if key == path},
            reasons=done.presence.reasons(path),
            faces=done.presence.faces,
            coverage=done.presence.coverage(done.duration_s),
            duration_s=done.duration_s,
            timings_ms=stages | {"total": 1000.0 * total_s},
            budget=budget,
            backend=self._backend.info,
            bundle=self._identity,
            all_paths=self._all_paths,
            notes=done.notes + done.presence.notes(done.duration_s),
            streams=done.streams,
        )

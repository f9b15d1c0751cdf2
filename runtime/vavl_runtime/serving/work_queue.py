"""What waits for the graphs, and which of it runs together."""

from collections import deque
from collections.abc import Iterable

from vavl_runtime.backends.base import DEFAULT_FACE_BATCH, Backend
from vavl_runtime.bundle.manifest import Manifest
from vavl_runtime.serving.clip_state import GRAPHS, Item
from vavl_runtime.serving.slots import CROPS

GPU_CLIPS = 16  # most clips that run together: more would keep the first of them waiting


class WorkQueue:
    """Items by graph. It is not locked: its owner does that.

    On the CPU each clip runs alone, since a batch is no faster there. On a GPU, what waits for the same graph runs
    together; nothing waits for company. The released layout computes one clip at a time.

    Args:
        backend: What runs the graphs.
        manifest: The bundle's manifest.
    """

    def __init__(self, backend: Backend, manifest: Manifest) -> None:
        self._backend = backend
        self._alone = manifest.layout == "released" or not backend.info.on_gpu
        self._waiting: dict[str, deque[Item]] = {name: deque() for name in GRAPHS}

    def __bool__(self) -> bool:
        return any(self._waiting.values())

    @property
    def face_rows(self) -> int:
        """Most face crops that run together; a backend with engines knows it once they are loaded."""
        rows: int = getattr(self._backend, "face_batch", DEFAULT_FACE_BATCH)
        return rows

    def add(self, items: Iterable[Item]) -> None:
        """Append items."""
        for item in items:
            self._waiting[item.graph].append(item)

    def take(self) -> list[Item]:
        """Take what runs next, all of it for one graph: paths first, which end clips, then sound, then faces.

        Void items are taken, too, since somebody must empty their slots.
        """
        waiting = next(items for items in self._waiting.values() if items)
        first = waiting.popleft()
        if first.graph == "face_encoder":
            most, fitting = max(self.face_rows // CROPS, 1), list(waiting)
        else:
            # Padding to the longest of a batch is computed like everything else: at most as much again.
            near = [item for item in waiting if first.size <= 2 * item.size and item.size <= 2 * first.size]
            most, fitting = self._most_clips(first.graph), near
        size = min(most, 1 + len(fitting))
        size = 1 << (size.bit_length() - 1)  # a power of two: each size of a batch is another shape for the backend
        for item in fitting[: size - 1]:
            waiting.remove(item)
        return [first, *fitting[: size - 1]]

    def _most_clips(self, graph: str) -> int:
        if self._alone:
            return 1
        # Engines are built for batches up to a size; other backends take any.
        served = getattr(self._backend, "most_clips", None)
        return GPU_CLIPS if served is None else min(GPU_CLIPS, served(graph))

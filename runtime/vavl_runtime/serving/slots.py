"""Shared memory between the processes: slots of one size, each for the sound or some face crops of a window.

A worker fills its slots in turn and stops when all are full. So memory is bounded, however long the clips are and
however slow the graphs.
"""

import contextlib
import os
import secrets
import shutil
import time
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vavl_runtime.bundle.manifest import Manifest
from vavl_runtime.errors import OutputError
from vavl_runtime.media.source import SAMPLE_RATE

try:
    import fcntl
except ImportError:  # Windows, which frees the memory of processes that are gone
    fcntl = None  # type: ignore[assignment]

SLOTS = 3  # of a worker: one with sound, one with faces that wait for the graphs, one that is being filled
CROPS = 32  # face crops in a slot: about a second of video
PREFIX = "vavl-"  # of the memory's name; the owner's process id follows
SYSTEM_MEMORY = Path("/dev/shm")  # where Linux keeps it; containers often have 64 MB there
_YOUNG_S = 60.0  # the owner of younger memory may not have locked it yet


class Slots:
    """The slots of one worker, or those of all workers as their owner sees them.

    Args:
        manifest: Gives the size of a crop and the longest sound.
        workers: How many workers there are.
        name: Of memory that another process made; None makes it.

    Attributes:
        name: By which another process finds the memory.

    Raises:
        OutputError: There is not enough shared memory.
    """

    def __init__(self, manifest: Manifest, workers: int, name: str | None = None) -> None:
        self._crop = (manifest.crop.size, manifest.crop.size, 3)
        self._crop_bytes = int(np.prod(self._crop))
        self._slot_bytes = _slot_bytes(manifest)
        if name is None:
            _remove_abandoned()
            require_room(manifest, workers)
        self.name = name or f"{PREFIX}{os.getpid()}-{secrets.token_hex(4)}"
        try:
            self._memory = SharedMemory(self.name, create=name is None, size=workers * SLOTS * self._slot_bytes)
            self._lock = _lock(self.name) if name is None else None
        except OSError as error:
            raise OutputError(
                f"no shared memory for processes that read clips ({error.strerror}); use no jobs"
            ) from error

    def write_sound(self, slot: int, samples: NDArray[np.float32]) -> None:
        """Put sound into a slot, float32, shape (S,)."""
        self._view(slot, 0, (len(samples),), np.float32)[...] = samples

    def read_sound(self, slot: int, count: int) -> NDArray[np.float32]:
        """Copy so many samples out of a slot, float32, shape (S,)."""
        samples: NDArray[np.float32] = self._view(slot, 0, (count,), np.float32).copy()
        return samples

    def write_crop(self, slot: int, place: int, crop: NDArray[np.uint8]) -> None:
        """Put one crop into a slot, at a place below `CROPS`; RGB, uint8, shape (size, size, 3)."""
        self._view(slot, place * self._crop_bytes, self._crop, np.uint8)[...] = crop

    def read_crops(self, slot: int, count: int) -> NDArray[np.uint8]:
        """Copy the first crops out of a slot, RGB, uint8, shape (count, size, size, 3)."""
        crops: NDArray[np.uint8] = self._view(slot, 0, (count, *self._crop), np.uint8).copy()
        return crops

    def close(self, *, unlink: bool) -> None:
        """Let go of the memory, and give it back to the system if this process made it.

        Args:
            unlink: Give it back.
        """
        self._memory.close()
        if unlink:
            self._memory.unlink()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _view(self, slot: int, offset: int, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
        # Nobody may keep it: memory with views of it cannot be closed.
        view: NDArray[Any] = np.ndarray(shape, dtype, self._memory.buf, slot * self._slot_bytes + offset)
        return view


def _lock(name: str) -> int | None:
    """Lock memory for as long as this process lives, where the system shows it as a file."""
    if fcntl is None or not SYSTEM_MEMORY.is_dir():
        return None
    lock = os.open(SYSTEM_MEMORY / name, os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


def _remove_abandoned() -> None:
    """Remove the memory that killed processes of this user left."""
    if fcntl is None or not SYSTEM_MEMORY.is_dir():
        return
    for memory in SYSTEM_MEMORY.glob(f"{PREFIX}*-*"):
        with contextlib.suppress(OSError):  # somebody else's, in use, or gone by now
            status = memory.stat()
            if status.st_uid != os.getuid() or time.time() - status.st_mtime < _YOUNG_S:
                continue
            lock = os.open(memory, os.O_RDWR | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                memory.unlink()
            finally:
                os.close(lock)


def _slot_bytes(manifest: Manifest) -> int:
    sound_bytes = 4 * (round(manifest.limits.window_s * SAMPLE_RATE) + 1)
    return -(-max(sound_bytes, CROPS * 3 * manifest.crop.size**2) // 4096) * 4096


def require_room(manifest: Manifest, workers: int) -> None:
    """Refuse memory that is not there: the system grants it, and kills the process that writes to it.

    Args:
        manifest: Gives the size of a slot.
        workers: How many workers there are.

    Raises:
        OutputError: There is not enough shared memory.
    """
    if not SYSTEM_MEMORY.is_dir():
        return
    size = workers * SLOTS * _slot_bytes(manifest)
    free = shutil.disk_usage(SYSTEM_MEMORY).free
    if free < size:
        raise OutputError(
            f"{SYSTEM_MEMORY}: {free / 1e6:.0f} MB of shared memory are free, {size / 1e6:.0f} MB are needed; use "
            "fewer jobs, or give the container more (docker run --shm-size)"
        )

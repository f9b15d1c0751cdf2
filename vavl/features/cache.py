"""A folder of arrays per clip. It can be filled in several runs and is read through memory maps.

    FOLDER/cache.json     encoder hashes, recipe and limits; a cache made with others is refused
           audio.bin      rows of all clips in sequence, float32, (rows, F_a)
           visual.bin     the same, (rows, F_v); a cache of raw material holds samples and uint8 face crops instead
           clips.jsonl    one line per finished clip: where its rows are, and why a modality is missing

A clip is in the cache once its line is written. Its rows are flushed to disk before its line, and opening the cache for
writing truncates rows that no line refers to. So the process may be killed at any time: no clip is computed twice, and
no partly written clip is read. A line holds checksums of its rows, which are compared when the clip is first read.
"""

import contextlib
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from vavl.errors import ConfigError
from vavl.features.identity import DESCRIPTION, MODALITIES, CacheIdentity, read_identity
from vavl.features.journal import ClipLine, Span, WindowLine, read_lines
from vavl_runtime.errors import InputError, OutputError
from vavl_runtime.files import write_atomically

JOURNAL = "clips.jsonl"


@dataclass(frozen=True)
class WindowFeatures:
    """Features of one window of a clip (a clip no longer than a window has one).

    Attributes:
        audio: (T_a, F_a), float32, or None.
        visual: (T_v, F_v), float32 features or uint8 crops, or None.
        audio_seconds: Duration that the audio features cover.
        visual_seconds: Duration that the visual features cover.
    """

    audio: NDArray[Any] | None
    visual: NDArray[Any] | None
    audio_seconds: float = 0.0
    visual_seconds: float = 0.0


@dataclass(frozen=True)
class ClipFeatures:
    """The features of one clip.

    Attributes:
        windows: Its windows in order; empty if the clip has neither modality.
        reasons: By modality, why a modality that the corpus announces is missing: ``silence``, ``no_face``, ….
    """

    windows: tuple[WindowFeatures, ...]
    reasons: dict[str, str] = field(default_factory=dict)


class FeatureCache:
    """A feature cache, open for reading, or for reading and writing.

    Args:
        folder: Folder of the cache.
        identity: The identity that the cache must have; None accepts any.
        writable: Open for writing, which one process can do at a time. Needs an identity.

    Raises:
        ConfigError: There is no cache, it is damaged, another process is writing to it, or it has another identity.
        OutputError: The folder cannot be written.
    """

    def __init__(self, folder: Path, identity: CacheIdentity | None = None, *, writable: bool = False) -> None:
        self.folder = folder
        self._lines: dict[str, ClipLine] = {}
        self._ends: dict[str, int] = dict.fromkeys(MODALITIES, 0)
        self._journal_end = 0
        self._files: dict[str, IO[bytes]] = {}
        self._maps: dict[str, NDArray[Any]] = {}
        self._compared: set[str] = set()  # clips whose rows are what was written
        self._lock: FileLock | None = None
        try:
            if writable:
                if identity is None:
                    raise ConfigError(f"{folder}: to write to a feature cache, pass the identity of its encoders")
                self._prepare(identity)
            self.identity = read_identity(folder)
            if identity is not None and (wrong := self.identity.mismatches(identity)):
                raise ConfigError(
                    f"{folder}: this feature cache was made with other encoders or settings ({'; '.join(wrong)}); "
                    "name another folder, or remove this one to extract again"
                )
            self._read_journal()
            if writable:
                self._truncate_unclaimed()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "FeatureCache":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all files and release the lock."""
        for file in self._files.values():
            file.close()
        if self._lock is not None:
            self._lock.release()
        self._files, self._lock, self._maps = {}, None, {}

    def __len__(self) -> int:
        return len(self._lines)

    def __contains__(self, clip: str) -> bool:
        return clip in self._lines

    def __iter__(self) -> Iterator[str]:
        return iter(self._lines)

    def is_current(self, clip: str, fingerprint: str) -> bool:
        """Whether a clip is in the cache and its media files have not changed since."""
        return clip in self._lines and self._lines[clip].fingerprint == fingerprint

    def reasons(self, clip: str) -> Mapping[str, str]:
        """Why modalities of a clip are missing, by modality."""
        return self._lines[clip].reasons

    def windows(self, clip: str) -> list[WindowFeatures]:
        """The features of a clip, as read-only views of the memory-mapped files.

        Raises:
            ConfigError: The rows are not what was written.
        """
        found = [
            WindowFeatures(self._rows("audio", line.audio), self._rows("visual", line.visual), *line.seconds)
            for line in self._lines[clip].windows
        ]
        if clip not in self._compared:
            for line, window in zip(self._lines[clip].windows, found, strict=True):
                self._compare(clip, window.audio, line.audio_crc32)
                self._compare(clip, window.visual, line.visual_crc32)
            self._compared.add(clip)
        return found

    def _compare(self, clip: str, rows: NDArray[Any] | None, crc32: int | None) -> None:
        if rows is None:
            return
        if not np.isfinite(rows).all() if crc32 is None else zlib.crc32(rows.data) != crc32:
            raise ConfigError(
                f"{self.folder}: the features of clip {clip!r} were damaged after they were written; remove the cache "
                "and extract again"
            )

    def add(self, clip: str, fingerprint: str, features: ClipFeatures) -> None:
        """Add a clip; it is on disk when this returns.

        Args:
            clip: Its id; an earlier clip with this id is replaced.
            fingerprint: Identifies its media files.
            features: Its features, finite.

        Raises:
            InputError: Features have another width or are not finite.
            OutputError: The disk is full or fails; the clip is then not in the cache.
        """
        windows: list[WindowLine] = []
        rows: dict[str, list[NDArray[Any]]] = {name: [] for name in MODALITIES}
        ends = dict(self._ends)
        for window in features.windows:
            spans: dict[str, Span | None] = dict.fromkeys(MODALITIES)
            sums: dict[str, int | None] = dict.fromkeys(MODALITIES)
            for name in MODALITIES:
                values: NDArray[Any] | None = getattr(window, name)
                if values is not None:
                    rows[name].append(self._checked(clip, name, values))
                    sums[name] = zlib.crc32(rows[name][-1].data)
                    spans[name] = (ends[name], len(values))
                    ends[name] += len(values)
            seconds = (window.audio_seconds, window.visual_seconds)
            windows.append(
                WindowLine(
                    seconds=seconds,
                    audio=spans["audio"],
                    visual=spans["visual"],
                    audio_crc32=sums["audio"],
                    visual_crc32=sums["visual"],
                )
            )
        line = ClipLine(clip=clip, fingerprint=fingerprint, reasons=features.reasons, windows=tuple(windows))
        written = line.to_bytes()
        self._truncate_unclaimed()  # remove what an earlier clip that failed may have left
        with self._as_output_error():
            for name in MODALITIES:
                if rows[name]:
                    _append(self._files[name], (values.data.cast("B") for values in rows[name]))
            _append(self._files["journal"], [memoryview(written)])
        self._ends = ends
        self._journal_end += len(written)
        self._lines[clip] = line
        self._compared.discard(clip)
        self._maps = {}

    def _checked(self, clip: str, name: str, values: NDArray[Any]) -> NDArray[Any]:
        width = self.identity.dims[name]
        if values.ndim != 2 or values.shape[1] != width or not len(values):
            raise InputError(f"clip {clip}: got {name} features of shape {values.shape}, expected (T, {width})")
        with np.errstate(over="ignore"):
            stored = np.ascontiguousarray(values, self.identity.dtypes[name])
        if not np.isfinite(stored).all():
            raise InputError(f"clip {clip}: got {name} features with NaN or infinities; check its encoder")
        return stored

    def _rows(self, name: str, span: Span | None) -> NDArray[Any] | None:
        if span is None:
            return None
        if name not in self._maps:
            shape = (self._ends[name], self.identity.dims[name])
            self._maps[name] = np.memmap(self.folder / f"{name}.bin", self.identity.dtypes[name], "r", shape=shape)
        start, count = span
        return self._maps[name][start : start + count]

    def _prepare(self, identity: CacheIdentity) -> None:
        files = {"audio": "audio.bin", "visual": "visual.bin", "journal": JOURNAL}
        with self._as_output_error():
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.folder / ".lock", thread_local=False)  # any thread may close the cache
            try:
                lock.acquire(timeout=0)
            except Timeout as error:
                raise ConfigError(
                    f"{self.folder}: another process is writing to this feature cache; wait until it ends"
                ) from error
            self._lock = lock
            if not (self.folder / DESCRIPTION).exists():
                if there := [file for file in files.values() if (self.folder / file).exists()]:
                    raise ConfigError(
                        f"{self.folder}: holds {', '.join(there)} but no {DESCRIPTION}, so their encoders are unknown; "
                        "name another folder, or remove these files"
                    )
                write_atomically(self.folder / DESCRIPTION, identity.to_bytes())
            for name, file in files.items():
                (self.folder / file).touch()
                # Unbuffered, so that data whose write has failed is not written later.
                self._files[name] = (self.folder / file).open("r+b", buffering=0)

    def _read_journal(self) -> None:
        # Read the journal before the file sizes: a writer adds rows first and their line last.
        journal = self.folder / JOURNAL
        try:
            lines, self._journal_end = read_lines(journal.read_bytes() if journal.exists() else b"")
        except ValueError as error:
            raise ConfigError(f"{journal}: damaged ({error}); remove the cache and extract again") from error
        for name in MODALITIES:
            self._ends[name] = max((line.end(name) for line in lines), default=0)
            file = self.folder / f"{name}.bin"
            if self._ends[name] * self.identity.row_bytes(name) > (file.stat().st_size if file.exists() else 0):
                raise ConfigError(f"{file}: shorter than its journal says; remove the cache and extract again")
        self._lines = {line.clip: line for line in lines}

    def _truncate_unclaimed(self) -> None:
        """Truncate the journal after its last complete line, then the rows that no line refers to."""
        with self._as_output_error():
            self._files["journal"].truncate(self._journal_end)
            for name in MODALITIES:
                self._files[name].truncate(self._ends[name] * self.identity.row_bytes(name))

    @contextlib.contextmanager
    def _as_output_error(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OutputError(
                f"{self.folder}: cannot be written ({error.strerror}); free some space or choose another place"
            ) from error


def _append(file: IO[bytes], parts: Iterable[memoryview]) -> None:
    """Append to an unbuffered file and flush it to disk."""
    file.seek(0, os.SEEK_END)
    for part in parts:
        while part:
            part = part[file.write(part) :]
    os.fsync(file.fileno())

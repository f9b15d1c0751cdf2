"""A file of results that grows clip by clip, and the journal that says how far it is complete.

The journal lies beside the file for as long as the run has not finished. Its first line has the settings of the run.
Every further line names a clip whose result is in the file, and the file's size after it. A result is flushed to the
disk before its line is written, so whatever a killed run left behind the last line is cut off when it is continued.
"""

import csv
import io
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from vavl_runtime.cli.common import UNDECODABLE
from vavl_runtime.errors import InputError, OutputError
from vavl_runtime.files import write_atomically

_STREAM_SETTINGS = {"audio": "audio_stream", "visual": "video_stream"}  # by modality, as results call it
_NO_STREAMS: dict[str, int | None] = dict.fromkeys(_STREAM_SETTINGS)


@dataclass(frozen=True)
class _Told:
    """What a result tells of how it was made."""

    clip: str
    bundle: str
    streams: Mapping[str, int | None]
    failed: bool


def journal_of(output: Path) -> Path:
    """Where the journal of a file lies."""
    return output.with_name(f".{output.name}.journal")


class GrowingFile:
    """Results in JSON lines or CSV, each on the disk once it is written.

    Args:
        output: The file.
        settings: What the results depend on, with the hash of the ``bundle``.
        start: The text before the first result: the header of CSV.
        resume: Continue what is there. An unfinished run must have had the same settings, a finished one the same
            bundle, and the streams that are named now. Otherwise start again.

    Attributes:
        done: Names of the clips whose results are there, in the order of the file.
        begun: Whether the file has its header.

    Raises:
        InputError: The run to be continued had other settings or columns.
        OutputError: The files cannot be written.
    """

    def __init__(self, output: Path, settings: Mapping[str, Any], start: str = "", *, resume: bool) -> None:
        self._output, self._journal = output, journal_of(output)
        self.done: list[str] = []
        size, lines = 0, [json.dumps(dict(settings))]
        if resume and output.exists():
            entries = self._entries(settings) if self._journal.exists() else _entries_of_finished(output, settings)
            for line, clip, end in entries:
                lines.append(line)
                size = end
                self.done += [clip] if clip is not None else []
        self.begun = size > 0
        if self.begun and not _starts_with(output, start):
            raise InputError(f"{output}: has other columns than results of this version; name another file")
        try:
            self._file = output.open("r+b" if self.begun else "wb")
            self._file.truncate(size)
            self._file.seek(size)
            write_atomically(self._journal, "".join(f"{line}\n" for line in lines).encode())
            self._log = self._journal.open("ab")
        except OSError as error:
            raise OutputError(f"{output}: cannot be written ({error.strerror}); choose another place") from error

    def __enter__(self) -> "GrowingFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._log.close()
        if kind is None:
            self._journal.unlink(missing_ok=True)

    def write(self, text: str, clip: str | None = None) -> None:
        """Append text and flush it to the disk.

        Args:
            text: The header, or the result of one clip; nothing is written for an empty text.
            clip: The clip's name; None for the header.
        """
        if not text:
            return
        try:
            self._file.write(text.encode("utf-8", errors=UNDECODABLE))
            self._file.flush()
            os.fsync(self._file.fileno())
            self._log.write(_entry(clip, self._file.tell()).encode() + b"\n")
            self._log.flush()
            os.fsync(self._log.fileno())
        except OSError as error:
            raise OutputError(
                f"{self._output}: cannot be written ({error.strerror}); make room, then add --resume to do the rest"
            ) from error

    def _entries(self, settings: Mapping[str, Any]) -> Iterator[tuple[str, str | None, int]]:
        """Read the journal: lines, clips and sizes that the file really has."""
        present = self._output.stat().st_size
        first, *lines = self._journal.read_text("utf-8").split("\n")[:-1] or ["{}"]
        before = json.loads(first)
        if other := [name for name, value in settings.items() if before.get(name) != value]:
            told = ", ".join(f"{name} {before.get(name)!r}, now {settings[name]!r}" for name in other)
            raise InputError(f"{self._output}: the run to be continued had {told}; give the same options")
        for line in lines:
            entry = json.loads(line)
            if entry["size"] > present:
                return
            yield line, entry["clip"], entry["size"]


def _entry(clip: str | None, size: int) -> str:
    return json.dumps({"clip": clip, "size": size})


def _entries_of_finished(output: Path, settings: Mapping[str, Any]) -> Iterator[tuple[str, str | None, int]]:
    """The same of a file whose run has finished, by its content. It tells bundle and streams, but no other settings."""
    text = output.read_text("utf-8")
    size = len(text.encode())
    found = [*(_told_by_json(text) if text.startswith("{") else _told_by_csv(text))]
    bundle = settings["bundle"]
    if other := {told.bundle for told in found} - {bundle}:
        raise InputError(
            f"{output}: holds results of the bundle {other.pop()[:12]}…, not of {bundle[:12]}…; name another file"
        )
    for told in found:
        for modality, read in told.streams.items():
            named = settings.get(_STREAM_SETTINGS[modality])
            if named is not None and read != named and not told.failed:
                raise InputError(
                    f"{output}: holds a result of the {modality} stream {'unknown' if read is None else read}, "
                    f"not of {named}; name another file"
                )
    for clip in (None, *(told.clip for told in found)):
        yield _entry(clip, size), clip, size


def _told_by_json(text: str) -> Iterator[_Told]:
    for record in map(json.loads, text.splitlines()):
        streams = record.get("streams", _NO_STREAMS)  # results of earlier versions do not tell
        yield _Told(record["clip"], record["bundle"]["sha256"], streams, failed=record["error"] is not None)


def _told_by_csv(text: str) -> Iterator[_Told]:
    for row in csv.DictReader(io.StringIO(text, newline="")):
        read = {modality: row.get(f"stream_{modality}") for modality in _NO_STREAMS}
        streams = {modality: int(number) if number else None for modality, number in read.items()}
        yield _Told(row["clip"], row["bundle_sha256"], streams, failed=bool(row["error_kind"]))


def _starts_with(file: Path, start: str) -> bool:
    with file.open("rb") as opened:
        return opened.read(len(start.encode())) == start.encode()

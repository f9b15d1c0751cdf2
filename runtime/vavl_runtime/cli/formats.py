"""Result records as text: a table for people, and JSON, JSON lines or CSV for programs."""

import csv
import io
import json
from collections.abc import Iterator
from typing import Any, Protocol

from vavl_runtime.cli.common import printable
from vavl_runtime.result import attributes_text
from vavl_runtime.tables import columns, row

Record = dict[str, Any]


class Writer(Protocol):
    """Turns records into text, one at a time."""

    def start(self) -> str:
        """Return the text before the first record."""

    def record(self, record: Record) -> str:
        """Return the text of one record."""

    def end(self) -> str:
        """Return the text after the last record."""


class JsonLines:
    """One JSON object per line."""

    def start(self) -> str:
        """Return nothing."""
        return ""

    def record(self, record: Record) -> str:
        """Return the object on one line."""
        return json.dumps(record, ensure_ascii=False) + "\n"

    def end(self) -> str:
        """Return nothing."""
        return ""


class Json:
    """One object for a single clip, an array otherwise.

    Args:
        single: The user named exactly one clip.
    """

    def __init__(self, single: bool) -> None:
        self._single = single
        self._count = 0

    def start(self) -> str:
        """Return the opening bracket of an array."""
        return "" if self._single else "["

    def record(self, record: Record) -> str:
        """Return the object, indented."""
        separator = "" if self._single else ("\n" if self._count == 0 else ",\n")
        self._count += 1
        return separator + json.dumps(record, ensure_ascii=False, indent=2)

    def end(self) -> str:
        """Return the closing bracket of an array."""
        return "\n" if self._single else "\n]\n"


class Csv:
    """One row per clip, with a column for each label.

    Args:
        labels: Class or attribute names.
    """

    def __init__(self, labels: tuple[str, ...]) -> None:
        self._labels = labels

    def _row(self, values: tuple[Any, ...]) -> str:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerow(values)
        return text.getvalue()

    def start(self) -> str:
        """Return the header."""
        return self._row(columns(self._labels))

    def record(self, record: Record) -> str:
        """Return a row."""
        return self._row(row(record, self._labels))

    def end(self) -> str:
        """Return nothing."""
        return ""


class Table:
    """A table for people.

    Args:
        width: Width of the clip column.
    """

    def __init__(self, width: int) -> None:
        self._width = max(4, min(width, 48))

    def start(self) -> str:
        """Return the header."""
        return f"{'clip':{self._width}}  {'path':12}  {'answer':34}  {'faces':>9}  {'ms':>7}  notes\n"

    def record(self, record: Record) -> str:
        """Return a line; one per path if all paths were asked for."""
        lines = [self._line(record, record["path"], record, "; ".join(_notes(record)))]
        for path, answer in record.get("paths", {}).items():
            if path != record["path"]:
                lines.append(self._line(None, path, {**answer, "scale": record["scale"]}, ""))
        return "".join(lines)

    def _line(self, record: Record | None, path: str | None, answered: Record, notes: str) -> str:
        label, scores = answered["label"], answered["scores"]
        if label is not None:
            answer = f"{label} {scores[label]:.2f}"
        else:
            answer = attributes_text(scores, answered["scale"]) or "-"
        clip = faces = total = ""
        if record is not None:
            name = printable(str(record["clip"]))
            clip = name if len(name) <= self._width else "…" + name[-self._width + 1 :]
            faces = "-" if record["error"] else f"{record['faces']['with_face']}/{record['faces']['frames']}"
            total = f"{record['timings_ms']['total']:.0f}"
        shown = path or ("error" if record and record["error"] else "none")
        return f"{clip:{self._width}}  {shown:12}  {answer:34}  {faces:>9}  {total:>7}  {notes}".rstrip() + "\n"

    def end(self) -> str:
        """Return nothing."""
        return ""


def _notes(record: Record) -> Iterator[str]:
    if record["error"]:
        yield record["error"]["kind"]  # the message was printed on stderr
        return
    for modality, reason in record["reasons"].items():
        if reason:
            yield f"{modality}: {reason}"
    for note in record["notes"]:
        chosen = note["kind"] == "stream_chosen"
        yield f"{note['modality']}: {'stream ' + str(record['streams'][note['modality']]) if chosen else note['kind']}"
    if record["bundle"]["weights"] == "untrained":
        yield "UNTRAINED bundle: this answer means nothing"


def new_writer(name: str, *, single: bool, labels: tuple[str, ...], width: int) -> Writer:
    """Make the writer of a format.

    Args:
        name: ``table``, ``json``, ``jsonl`` or ``csv``.
        single: The user named exactly one clip.
        labels: Class or attribute names.
        width: Length of the longest clip name.

    Returns:
        The writer.
    """
    writers: dict[str, Writer] = {
        "table": Table(width),
        "json": Json(single),
        "jsonl": JsonLines(),
        "csv": Csv(labels),
    }
    return writers[name]

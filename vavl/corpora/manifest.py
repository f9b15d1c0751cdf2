"""Reads a corpus that a manifest CSV describes, and the CSV tables of other corpora.

The format of the manifest is described in ``docs/corpora.md``.
"""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import TypeVar

from vavl.corpora.checks import Problem
from vavl.corpora.corpus import Clip, Corpus, Partition, Split

MANIFEST = "manifest.csv"
REQUIRED = ("id", "speaker", "audio", "visual")
SPLIT_NAMES: dict[str, Split] = {
    "train": "train",
    "development": "development",
    "dev": "development",
    "validation": "development",
    "test": "test",
}
Value = TypeVar("Value")


@dataclass
class Row:
    """One row of a table. Reading a cell that is wrong adds a fault and returns a placeholder.

    Attributes:
        source: ``file:line``.
        cells: Stripped text by column.
        faults: What is wrong with the cells that were read, as text.
    """

    source: str
    cells: Mapping[str, str]
    faults: list[str] = field(default_factory=list)

    def text(self, column: str) -> str:
        """Read a cell that must not be empty."""
        if not self.cells[column]:
            self.faults.append(f"column {column} is empty")
        return self.cells[column]

    def number(self, column: str) -> float:
        """Read a cell as a number. It may be NaN or infinite; the checks of the corpus refuse such values."""
        try:
            return float(self.cells[column])
        except ValueError:
            self.faults.append(f"column {column}: got {self.cells[column]!r}, expected a number")
            return float("nan")

    def choice(self, column: str, options: Mapping[str, Value]) -> Value | None:
        """Read a cell as one of several options; None if it is none of them."""
        if self.cells[column] not in options:
            self.faults.append(f"column {column}: got {self.cells[column]!r}, expected one of {', '.join(options)}")
        return options.get(self.cells[column])

    def split(self, column: str) -> Split | None:
        """Read a cell as a split, in upper or lower case; None if it names no split."""
        split = SPLIT_NAMES.get(self.cells[column].lower())
        if split is None:
            self.faults.append(f"column {column}: got {self.cells[column]!r}, expected one of {', '.join(SPLIT_NAMES)}")
        return split

    def problems(self, clip: str) -> list[Problem]:
        """The faults as one problem of a clip; empty without faults."""
        return [Problem(self.source, clip, "row", "; ".join(self.faults))] if self.faults else []


@dataclass
class Table:
    """A CSV file.

    Attributes:
        comments: ``# key: value`` lines above the header, by key.
        columns: The header.
        rows: Rows with as many cells as the header.
        problems: Problems of the file as a whole, and of rows with too few or too many cells.
    """

    comments: dict[str, str] = field(default_factory=dict)
    columns: tuple[str, ...] = ()
    rows: list[Row] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def read_table(path: Path, source: str) -> Table:
    """Read a CSV file: UTF-8, comma-separated, with comments above one header and empty lines anywhere.

    Args:
        path: The file.
        source: Name of the file in problems.

    Returns:
        Its rows and all problems. Nothing is raised.
    """
    table = Table()
    try:
        lines = io.StringIO(path.read_text("utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        table.problems.append(Problem(source, "", "layout", f"not a readable UTF-8 file ({error})"))
        return table
    reader = csv.reader(lines, strict=True)
    try:
        for cells in reader:
            _take_line(table, [cell.strip() for cell in cells], f"{source}:{reader.line_num}")
    except csv.Error as error:
        table.problems.append(Problem(f"{source}:{reader.line_num}", "", "layout", f"not CSV from here on ({error})"))
    if not table.columns:
        table.problems.append(Problem(source, "", "layout", "no header; expected a line of column names"))
    return table


def _take_line(table: Table, cells: list[str], source: str) -> None:
    if not any(cells):
        return
    if not table.columns and cells[0].startswith("#"):
        key, _, value = ",".join(cells).lstrip("# ").partition(":")
        table.comments[key.strip().lower()] = value.strip()
    elif not table.columns:
        table.columns = tuple(cells)
        repeated = sorted({name for name in cells if cells.count(name) > 1})
        if repeated:
            table.problems.append(Problem(source, "", "layout", f"columns named twice: {', '.join(repeated)}"))
    elif len(cells) != len(table.columns):
        message = f"{len(cells)} cells, the header has {len(table.columns)}"
        table.problems.append(Problem(source, "", "row", message))
    else:
        table.rows.append(Row(source, dict(zip(table.columns, cells, strict=True))))


def read_manifest(folder: Path) -> tuple[Corpus, list[Problem]]:
    """Read a corpus that a manifest CSV describes.

    Args:
        folder: The folder of ``manifest.csv``, or the CSV itself.

    Returns:
        The corpus as described, and the problems of the description.
    """
    path = folder if folder.is_file() else folder / MANIFEST
    table = read_table(path, path.name)
    corpus, faults = _describe(table, path)
    problems = [*table.problems, *(Problem(path.name, "", "layout", fault) for fault in faults)]
    if any(problem.kind == "layout" for problem in problems):
        return corpus, problems
    clips: list[Clip] = []
    split_columns = {name: name.partition(":")[2] or "split" for name in table.columns if name.split(":")[0] == "split"}
    split_of: dict[str, dict[str, Split]] = {name: {} for name in split_columns}
    for row in table.rows:
        clip = Clip(
            row.text("id"),
            row.text("speaker"),
            _target(row, corpus.labels),
            _path(row, "audio", path.parent),
            _path(row, "visual", path.parent),
            row.source,
        )
        splits = {name: row.split(name) for name in split_columns if row.cells[name]}
        problems += row.problems(clip.id)
        if not row.faults:
            clips.append(clip)
            for name, split in splits.items():
                if split is not None:
                    split_of[name][clip.id] = split
    partitions = tuple(Partition(split_columns[name], split_of[name]) for name in split_columns)
    return Corpus(corpus.name, corpus.task, corpus.labels, tuple(clips), partitions, corpus.scale), problems


def _describe(table: Table, path: Path) -> tuple[Corpus, list[str]]:
    """The corpus, without clips, as header and comments describe it; and what is wrong with them."""
    name = table.comments.get("name") or path.resolve().parent.name
    if not table.columns:
        return Corpus(name, "classification", (), ()), []
    faults = [f"no column {column}" for column in REQUIRED if column not in table.columns]
    if not table.rows:
        faults.append("no row below the header; expected one for each clip")
    labels = _labels(table, faults)
    scale = _scale(table.comments.get("scale"), faults)
    if "label" in table.columns and scale:
        faults.append("a scale has no meaning for classes; remove the line '# scale'")
    if not scale and len(labels) == 1:
        faults.append(
            f"only one class, {labels[0]}; expected at least two, or a line '# scale: LOW HIGH' for attributes"
        )
    if scale:
        return Corpus(name, "regression", labels, (), scale=scale), faults
    return Corpus(name, "classification", labels, ()), faults


def _labels(table: Table, faults: list[str]) -> tuple[str, ...]:
    """Names of the classes or attributes: of the target columns, else those listed, else those that occur."""
    attributes = tuple(name.removeprefix("target:") for name in table.columns if name.startswith("target:"))
    by_name = "label" in table.columns
    if by_name == bool(attributes):
        faults.append("expected either a column label or a column target:NAME for each class or attribute")
    if not by_name:
        return attributes
    listed = (name.strip() for name in table.comments.get("labels", "").split(","))
    return tuple(name for name in listed if name) or tuple(
        sorted({row.cells["label"] for row in table.rows if row.cells["label"]})
    )


def _scale(text: str | None, faults: list[str]) -> tuple[float, float] | None:
    if text is None:
        return None
    try:
        low, high = map(float, text.replace(",", " ").split())
    except ValueError:
        low, high = 0.0, 0.0
    if not -inf < low < high < inf:
        faults.append(f"scale {text!r}: expected the lowest and the highest score, such as '# scale: 1 5'")
    return low, high


def _target(row: Row, labels: tuple[str, ...]) -> tuple[float, ...]:
    if "label" in row.cells:
        label = row.choice("label", {name: name for name in labels})
        return tuple(float(name == label) for name in labels)
    return tuple(row.number(f"target:{name}") for name in labels)


def _path(row: Row, column: str, base: Path) -> Path | None:
    return base / row.cells[column] if row.cells[column] else None

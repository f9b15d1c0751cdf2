"""The file that ``vavl-run -o`` names: which format it has, what must not be replaced, and how results get into it.

JSON lines and CSV grow clip by clip. Each result is on the disk before the next clip begins, and a journal beside the
file says how far it is complete, so that a run that was killed can be continued. A table and a JSON document are
written as a whole, at the end.
"""

import contextlib
import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol, TextIO

import typer

from vavl_runtime.cli.common import UNDECODABLE
from vavl_runtime.cli.journal import GrowingFile, journal_of
from vavl_runtime.errors import OutputError
from vavl_runtime.files import file_beside, name_leftovers

GROWING = ("jsonl", "csv")
_SUFFIXES = {".csv": "csv", ".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl"}
_LOOK_BYTES = 1 << 16  # of an existing file, to see whether it is ours
_FIRST_KEYS = ("clip", "path", "label")


class Output(Protocol):
    """Takes results as text.

    Attributes:
        done: Names of the clips whose results are there already.
        begun: Whether the text before the first result is there already.
    """

    done: list[str]
    begun: bool

    def write(self, text: str, clip: str | None = None) -> None:
        """Take text; with a clip's name, the text completes the result of that clip."""


def choose_format(output: Path | None, asked: str | None) -> str:
    """Choose the format by the option, or else by the file's suffix.

    Args:
        output: The file; None for stdout.
        asked: ``table``, ``json``, ``jsonl`` or ``csv``; None for no choice.

    Returns:
        The format; ``table`` if nothing says otherwise.

    Raises:
        typer.BadParameter: Option and suffix contradict each other.
    """
    by_suffix = _SUFFIXES.get(output.suffix.lower()) if output is not None else None
    if asked is not None and by_suffix is not None and asked != by_suffix:
        raise typer.BadParameter(f"--output {output} is {by_suffix} by its suffix, --format asks for {asked}")
    return asked or by_suffix or "table"


def check_output(output: Path, inputs: list[Path], *, force: bool, resume: bool, parents: bool) -> None:
    """Refuse an output that would destroy something.

    Args:
        output: Where results would go.
        inputs: The clips.
        force: Replace a file that is no earlier output of ours, or an unfinished one.
        resume: An unfinished output will be continued.
        parents: Make missing folders.

    Raises:
        OutputError: The output is one of the clips, exists and must not be replaced, or has no folder.
    """
    if any(_same(output, clip) for clip in inputs):
        raise OutputError(f"{output}: one of the clips; results must not replace it, name another file")
    folder = output.absolute().parent
    if folder.is_dir():
        for file in (output.absolute(), journal_of(output.absolute())):
            name_leftovers(file)
    elif not parents:
        raise OutputError(f"{output}: there is no folder {folder}; make it, or add --parents")
    if not output.exists():
        return
    if not output.is_file() or force:  # a pipe or a device holds nothing
        return
    if not is_results(output):
        raise OutputError(f"{output}: exists and holds no results of vavl-run; name another file, or add --force")
    if journal_of(output).exists() and not resume:
        raise OutputError(
            f"{output}: a run that did not finish left its results here; add --resume to do the rest, or --force to "
            "start again"
        )


def is_results(file: Path) -> bool:
    """Say whether a file is empty, or holds results of ``vavl-run`` in any format."""
    try:
        with file.open("rb") as opened:
            start = opened.read(_LOOK_BYTES).decode("utf-8", errors="replace")
    except OSError as error:
        raise OutputError(f"{file}: cannot be read ({error.strerror}); name another file") from error
    if not start or start.startswith(",".join(_FIRST_KEYS)) or start.split()[:2] == ["clip", "path"]:
        return True
    try:
        record, _ = json.JSONDecoder().raw_decode(start.lstrip("[ \n"))
    except ValueError:
        return re.fullmatch(r"\[\s*\]?\s*", start) is not None  # of no clips
    return isinstance(record, dict) and tuple(record)[: len(_FIRST_KEYS)] == _FIRST_KEYS


@contextlib.contextmanager
def open_output(
    output: Path | None, output_format: str, settings: Mapping[str, Any], start: str, *, resume: bool, parents: bool
) -> Iterator[Output]:
    """Open the place of the results, checked by `check_output`.

    Args:
        output: The file; None for stdout.
        output_format: ``table``, ``json``, ``jsonl`` or ``csv``.
        settings: What the results depend on; a run is continued with the same settings only.
        start: The text before the first result; a run is continued below the same text only.
        resume: Continue an unfinished output.
        parents: Make missing folders.

    Yields:
        Where to write.

    Raises:
        InputError: The run to be continued had other settings or columns.
        OutputError: The file cannot be written.
        typer.BadParameter: A run cannot be continued in this format.
    """
    if resume and (output is None or output_format not in GROWING):
        raise typer.BadParameter("--resume continues a file of JSON lines or CSV; name one with --output")
    if output is None:
        if sys.stdout is None:
            raise OutputError("stdout is closed; name a file for the results with --output")
        yield _Stream(sys.stdout)
        return
    if parents:
        output.absolute().parent.mkdir(parents=True, exist_ok=True)
    if output_format in GROWING and (output.is_file() or not output.exists()):
        with GrowingFile(output, settings, start, resume=resume) as growing:
            yield growing
        return
    with file_beside(output) as temporary, temporary.open("w", encoding="utf-8", errors=UNDECODABLE) as file:
        yield _Stream(file)


class _Stream:
    """Stdout, or a file that is complete or absent."""

    def __init__(self, stream: TextIO) -> None:
        self.done: list[str] = []
        self.begun = False
        self._stream = stream

    def write(self, text: str, clip: str | None = None) -> None:
        if text:
            self._stream.write(text)
            self._stream.flush()


def _same(output: Path, clip: Path) -> bool:
    try:
        return output.samefile(clip)
    except OSError:
        return False

"""``vavl-run`` over many clips under the harness, in each format of its results."""

import csv
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.kills.command import Command, require
from benchmarks.kills.inputs import Inputs
from vavl_runtime.cli.journal import journal_of


class Run(Command):
    """Recognises sixteen clips. JSON lines and CSV are continued; JSON is written at the end, over an older file.

    Args:
        inputs: What it reads.
        suffix: ``jsonl``, ``csv`` or ``json``.
    """

    module = "vavl_runtime"
    compared = "every result but its times"

    def __init__(self, inputs: Inputs, suffix: str) -> None:
        super().__init__(inputs)
        self.name = f"vavl-run -o x.{suffix}"
        self.grows = suffix != "json"
        self._file = f"x.{suffix}"
        journal = journal_of(Path(self._file)).name
        self.outputs = (self._file, journal) if self.grows else (self._file,)
        self._read = {"jsonl": _read_lines, "csv": _read_csv, "json": _read_json}[suffix]

    def main(self) -> Callable[[], None]:
        """See `Command`."""
        from vavl_runtime import recognizer
        from vavl_runtime.cli import run

        assert recognizer is not None
        return run.main

    def arguments(self, number: int) -> list[str]:
        """See `Command`."""
        return [str(self.inputs.clips), "-o", self._file, "--threads", "1", *(["--resume"] if self.grows else [])]

    def prepare(self, folder: Path, number: int) -> None:
        """See `Command`."""
        if not self.grows and number % 2:
            shutil.copy(self.inputs.results, folder / self._file)

    def check(self, folder: Path, number: int, said: str) -> None:
        """See `Command`."""
        file = folder / self._file
        if not self.grows:
            require(file.exists() or not number % 2, "the older results are gone")
            if file.exists():
                self._read(file.read_text("utf-8"))
            return
        begun = [int(count) for count in re.findall(r"^\[(\d+)/", said, re.MULTILINE)]
        claimed, journal = 0, journal_of(file)
        text = file.read_bytes() if file.exists() else b""
        if journal.exists():
            entries = [json.loads(line) for line in journal.read_text("utf-8").splitlines()[1:]]
            claimed = sum(entry["clip"] is not None for entry in entries)
            text = text[: entries[-1]["size"] if entries else 0]
        results = self._read(text.decode()) if text else []
        require(len(results) >= claimed, f"the journal has {claimed} clips, the file {len(results)}")
        least = max(begun, default=1) - 1
        require(len(results) >= least, f"{least} clips were done, {len(results)} are in the file")

    def result(self, folder: Path, number: int) -> object:
        """See `Command`."""
        return sorted(self._read((folder / self._file).read_text("utf-8")))


def _read_lines(text: str) -> list[str]:
    return [_stable(json.loads(line)) for line in text.splitlines()]


def _read_json(text: str) -> list[str]:
    return [_stable(record) for record in json.loads(text)]


def _read_csv(text: str) -> list[str]:
    return [_stable(row) for row in csv.DictReader(text.splitlines())]


def _stable(record: dict[str, Any]) -> str:
    """A result without what differs from run to run."""
    return json.dumps({key: value for key, value in record.items() if not key.endswith("_ms")})

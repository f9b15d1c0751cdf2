"""The JSON file of a run: rewritten after every cell, and taken up again by the next command."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.gpu.plan import Point
from vavl_runtime.errors import InputError
from vavl_runtime.files import write_atomically

Cell = dict[str, Any]


class Record:
    """The figures of one device; every change is on disk when a method returns.

    Args:
        file: Where they are kept; continued if it is there.
        command: The command line that makes it.
        tiny: A dry run with tiny networks.

    Raises:
        InputError: The file is not such a record, or one of another kind of run.
    """

    def __init__(self, file: Path, command: str, *, tiny: bool) -> None:
        self._file = file
        self._content: dict[str, Any] = {"benchmark": "gpu", "command": command, "tiny": tiny, "points": []}
        if not file.is_file():
            return
        try:
            found = json.loads(file.read_text("utf-8"))
        except ValueError as error:
            raise InputError(f"{file}: not JSON ({error}); remove it, or name another place") from error
        if not isinstance(found, dict) or found.get("benchmark") != "gpu" or found.get("tiny") != tiny:
            raise InputError(f"{file}: not a record of this kind of run; remove it, or name another place")
        self._content = found

    @property
    def content(self) -> dict[str, Any]:
        """What is in the file."""
        return self._content

    def set_device(self, environment: dict[str, Any], ceilings: dict[str, float]) -> None:
        """Say what the figures are taken on.

        Raises:
            InputError: The file holds figures of something else: they would not be comparable.
        """
        known = self._content.get("environment")
        if known not in (None, environment):
            changed = sorted(key for key in {*known, *environment} if known.get(key) != environment.get(key))
            raise InputError(f"{self._file}: taken with another {', '.join(changed)}; name another place")
        self._content["environment"] = environment
        self._content.setdefault("ceilings", ceilings)  # the first ones, which known rooflines were made with
        self._write()

    def set_counts(self, point: Point, counts: dict[str, Any]) -> None:
        """Say what a point's work is."""
        self._entry(point).update(counts)
        self._write()

    def set_cell(self, point: Point, cell: Cell) -> None:
        """Add a cell, or replace it."""
        cells = self._entry(point)["cells"]
        cells[:] = [known for known in cells if known["engine"] != cell["engine"]] + [cell]
        self._write()

    def cells(self, point: Point) -> dict[str, Cell]:
        """The cells of a point by engine."""
        return {cell["engine"]: cell for cell in self._entry(point)["cells"]}

    def _entry(self, point: Point) -> dict[str, Any]:
        named = asdict(point)
        for entry in self._content["points"]:
            if {key: entry[key] for key in named} == named:
                found: dict[str, Any] = entry
                return found
        self._content["points"].append({**named, "cells": []})
        added: dict[str, Any] = self._content["points"][-1]
        return added

    def _write(self) -> None:
        write_atomically(self._file, (json.dumps(self._content, indent=1) + "\n").encode())

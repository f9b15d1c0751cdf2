"""Options that the commands of ``vavl-bench`` share, and how their text is read."""

import contextlib
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from vavl_runtime.cli.common import device_name

T = TypeVar("T", int, float)

ThreadsOption = Annotated[int | None, typer.Option(min=1, help="CPU threads of the graphs; all cores by default.")]
OutputOption = Annotated[
    list[Path] | None, typer.Option("--output", "-o", help="File to write: .json, .csv, .md, .html; repeat for more.")
]


def read_words(text: str) -> tuple[str, ...]:
    """Read words with commas between."""
    return tuple(word.strip() for word in text.split(","))


def read_devices(text: str) -> tuple[str, ...]:
    """Read device names; a measurement names its device, so ``auto`` is none."""
    names = tuple(device_name(word) for word in read_words(text))
    if "auto" in names:
        raise typer.BadParameter("got auto; a measurement names its device: cpu or cuda:N", param_hint="--device")
    return names


def read_numbers(text: str, kind: type[T], option: str) -> tuple[T, ...]:
    """Read positive numbers with commas between."""
    with contextlib.suppress(ValueError):
        numbers = tuple(kind(word) for word in read_words(text))
        if all(0 < number < 1e6 for number in numbers):
            return numbers
    raise typer.BadParameter(f"got {text!r}, expected positive numbers with commas between", param_hint=option)

"""Options that several commands of ``vavl-bench`` share, and how their text is read."""

import contextlib
from enum import Enum
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from vavl_runtime.cli.options import BackendName, Precision, device_name

T = TypeVar("T", int, float)
Choice = TypeVar("Choice", bound=Enum)

SEVERAL = "Separate several by commas."
OutputOption = Annotated[
    list[Path] | None,
    typer.Option("--output", "-o", help="File to write: .json, .csv, .md or .html. Repeat for more."),
]


def read_words(text: str) -> tuple[str, ...]:
    """Split a list at its commas."""
    return tuple(word.strip() for word in text.split(","))


def read_devices(text: str) -> tuple[str, ...]:
    """Read a list of device names; ``auto`` would make results of different devices look alike."""
    names = tuple(device_name(word) for word in read_words(text))
    if "auto" in names:
        raise typer.BadParameter(
            "'auto' is not allowed in benchmarks: name cpu or cuda:N so that results are comparable",
            param_hint="--device",
        )
    return names


def read_backends(text: str) -> tuple[str, ...]:
    """Read a list of backends."""
    return _read_choices(text, BackendName, "--backend")


def read_precisions(text: str) -> tuple[str, ...]:
    """Read a list of precisions."""
    return _read_choices(text, Precision, "--precision")


def _read_choices(text: str, choices: type[Choice], option: str) -> tuple[str, ...]:
    known = [choice.value for choice in choices]
    words = read_words(text)
    for word in words:
        if word not in known:
            raise typer.BadParameter(f"got {word!r}, expected one of {', '.join(known)}", param_hint=option)
    return words


def read_numbers(text: str, kind: type[T], option: str) -> tuple[T, ...]:
    """Read a list of positive numbers."""
    with contextlib.suppress(ValueError):
        numbers = tuple(kind(word) for word in read_words(text))
        if all(0 < number < 1e6 for number in numbers):
            return numbers
    raise typer.BadParameter(f"got {text!r}, expected positive numbers separated by commas", param_hint=option)

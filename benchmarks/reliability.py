"""The page of attacks and promises, `docs/reliability.md`, from `benchmarks/results/reliability/*.json`."""

from collections.abc import Sequence
from datetime import date
from itertools import groupby
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt, model_validator

from benchmarks.promises import PROMISES, Promise
from benchmarks.record import RESULTS

FOLDER = RESULTS / "reliability"
HEADER = """# Reliability

`python -m benchmarks.tables` makes this page from `benchmarks/results/reliability/*.json`; do not edit it.

We attacked the product as a hostile sender, a full disk or a power cut would. *Tried* counts the inputs or faults.
*Held* counts those that ended within the limit, with an answer or an error of our own: no crash, no hang, nothing lost.
Rows in bold did not hold everywhere; the notes say why. *Worst* is the largest that was measured. The command above a
table repeats it.
"""
KEPT = """## Promises that tests keep

`make test` and `make test-slow` check these. Paths are those of the repository.
"""
Text = Field(min_length=1)


class Row(BaseModel):
    """One kind of attack.

    Attributes:
        what: What was attacked, and how.
        tried: Number of inputs or faults.
        held: How many of them ended as they should.
        limit: What an input had to keep to.
        worst: Largest cost that was measured, with units; may be empty.
    """

    model_config = ConfigDict(extra="forbid", strict=True)
    what: str = Text
    tried: PositiveInt
    held: NonNegativeInt
    limit: str = Text
    worst: str


class Attack(BaseModel):
    """What one command tried.

    Attributes:
        title: Heading of its table.
        command: What repeats it.
        date: Day of the run.
        rows: The kinds of attack.
        notes: What the rows do not say; at least one if something did not hold.
    """

    model_config = ConfigDict(extra="forbid")
    title: str = Text
    command: str = Text
    date: date
    rows: list[Row] = Field(min_length=1)
    notes: list[str]

    @model_validator(mode="after")
    def _check_counts(self) -> "Attack":
        for row in self.rows:
            if row.held > row.tried:
                raise ValueError(f"{row.what}: held {row.held} of {row.tried}; count again")
            if row.held < row.tried and not self.notes:
                raise ValueError(f"{row.what}: held {row.held} of {row.tried}; say in `notes` what failed")
        return self


def page(attacks: Sequence[Attack], promises: Sequence[Promise] = PROMISES) -> str:
    """The page: a table for each attack, then what tests keep."""
    return "\n".join([HEADER, *map(_section, attacks), KEPT, *_kept(promises)])


def read_attacks(folder: Path) -> list[Attack]:
    """Read the results of all attacks, by name of the file.

    Raises:
        ValueError: A file is not of the form of `Attack`; the message begins with its name.
    """
    attacks = []
    for path in sorted(folder.glob("*.json")):
        try:
            attacks.append(Attack.model_validate_json(path.read_bytes()))
        except ValueError as error:
            raise ValueError(f"{path.name}: {error}") from error
    return attacks


def _section(attack: Attack) -> str:
    tried, held = sum(row.tried for row in attack.rows), sum(row.held for row in attack.rows)
    lines = [
        f"## {attack.title}",
        "",
        f"`{attack.command}`, {attack.date}: {held:,} of {tried:,} held.",
        "",
        "| what | tried | held | limit | worst |",
        "|---|---:|---:|---|---|",
    ]
    for row in attack.rows:
        held_text = f"{row.held:,}" if row.held == row.tried else f"**{row.held:,}**"
        what = _cell(row.what) if row.held == row.tried else f"**{_cell(row.what)}**"
        lines.append(f"| {what} | {row.tried:,} | {held_text} | {_cell(row.limit)} | {_cell(row.worst) or '-'} |")
    notes = ["", *(f"- {note}" for note in attack.notes)] if attack.notes else []
    return "\n".join([*lines, *notes, ""])


def _kept(promises: Sequence[Promise]) -> list[str]:
    lines = ["| promise | tests |", "|---|---|"]
    for area, group in groupby(promises, lambda promise: promise.area):
        lines.append(f"| **{area}** | |")
        lines += [f"| {one.text} | {', '.join(f'`{test}`' for test in one.tests)} |" for one in group]
    return [*lines, ""]


def _cell(text: str) -> str:
    """Text that stays in its cell."""
    return text.replace("|", "\\|").replace("\n", " ")

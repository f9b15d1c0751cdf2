"""Tries thousands of damaged files on everything that reads files of others, and counts what held.

    python -m tests.fuzz                                        everything, some minutes on each core
    python -m tests.fuzz --target media --inputs 500 --seed 7   a part of it, with other inputs
    python -m tests.fuzz --target media --seed 7 --only 123     one input again, in this process, with its traceback

Each input is damaged in a way that follows from target, seed and number alone. Child processes try them under limits on
time and memory. A fault is an exception outside `VavlError`, a process that ends or hangs, too much memory, or an
answer that contradicts the file. Inputs that are faults are kept in a folder. Needs Linux.
"""

import argparse
import datetime
import json
import shlex
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.record import RESULTS
from tests.fuzz.child import MEMORY
from tests.fuzz.harness import INPUT_S, Run, Tally, fuzz
from tests.fuzz.target import Target
from tests.fuzz.targets import TARGETS
from vavl_runtime.devices.cpu import usable_cores
from vavl_runtime.files import write_atomically

LIMIT = f"{INPUT_S:g} s, {MEMORY >> 30} GiB, errors of our own tree only"
_MOST_NAMED = 20


def arguments_parser() -> argparse.ArgumentParser:
    """Make the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--target", action="append", choices=TARGETS, help="what to try; everything by default")
    parser.add_argument("--inputs", type=int, help="how many for each target; by default as many as the target says")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no input after so many minutes")
    parser.add_argument("--seed", type=int, default=0, help="seed of all damage (default: 0)")
    parser.add_argument("--only", type=int, metavar="NUMBER", help="try this input alone, without limits")
    parser.add_argument("--jobs", type=int, default=usable_cores(), help="processes at a time; all cores by default")
    parser.add_argument(
        "--keep", type=Path, default=Path("build/fuzz"), help="folder for inputs that are faults (default: build/fuzz)"
    )
    parser.add_argument("--output", "-o", type=Path, help="JSON file to write; by default for a complete run only")
    return parser


def rows_of(target: Target, tallies: dict[str, Tally]) -> list[dict[str, Any]]:
    """The rows of the table of results: one for the target, or for each kind of seed up to the comma in its name.

    Args:
        target: What was tried.
        tallies: What came of it, by kind of seed.
    """
    if not target.by_kind:
        return [_row(target.title, Tally.sum_of(tallies.values()))]
    groups: dict[str, list[Tally]] = {}
    for kind, tally in tallies.items():
        groups.setdefault(kind.partition(",")[0], []).append(tally)
    return [_row(f"{target.title}: {group}", Tally.sum_of(inside)) for group, inside in groups.items()]


def _row(what: str, tally: Tally) -> dict[str, Any]:
    worst = f"{tally.seconds:.2g} s, {tally.peak / 1e6:.0f} MB" if tally.tried else ""
    return {"what": what, "tried": tally.tried, "held": tally.held, "limit": LIMIT, "worst": worst}


def notes_of(target: Target, tallies: dict[str, Tally]) -> list[str]:
    """What became of the inputs of a target in words: how many were accepted, and every fault.

    Args:
        target: What was tried.
        tallies: What came of it, by kind of seed.
    """
    total = Tally.sum_of(tallies.values())
    notes = [f"{target.title}: {total.outcomes['accepted']} of {total.tried} inputs were still good enough to accept"]
    for number, message in list(total.faults.items())[:_MOST_NAMED]:
        notes.append(f"{target.title}: input {number} failed: {message.strip().splitlines()[-1]}")
    return notes


def main() -> int:
    """Fuzz, print the counts, write the record; 1 if there was a fault."""
    arguments = arguments_parser().parse_args()
    chosen = [TARGETS[name] for name in arguments.target or TARGETS]
    if arguments.only is not None:
        for target in chosen:
            with tempfile.TemporaryDirectory() as folder:
                target.opened(Path(folder))(*target.damaged(arguments.only, arguments.seed))
        return 0
    ends_at = time.monotonic() + 60 * arguments.minutes
    rows: list[dict[str, Any]] = []
    notes: list[str] = []
    for target in chosen:
        inputs = target.inputs if arguments.inputs is None else arguments.inputs
        begin = time.monotonic()
        tallies = fuzz(target, Run(arguments.seed, inputs, ends_at, arguments.jobs), arguments.keep)
        rows += rows_of(target, tallies)
        notes += notes_of(target, tallies)
        total = Tally.sum_of(tallies.values())
        pace = total.tried / (time.monotonic() - begin)
        print(f"{target.name}: {total.held} of {total.tried} held, {pace:.0f} a second", flush=True)
        for kind, tally in tallies.items():
            for number, message in tally.faults.items():
                print(f"  {kind}, input {number}: {message.strip().splitlines()[-1]}")
    complete = not arguments.target and arguments.inputs is None and arguments.minutes == float("inf")
    output = arguments.output or (RESULTS / "reliability" / "fuzz.json" if complete else None)
    if output is not None:
        command = shlex.join(["python", "-m", "tests.fuzz", *_shown(arguments)])
        record = {
            "title": "Damaged files",
            "command": "make fuzz" if complete and not arguments.seed else command,
            "date": datetime.date.today().isoformat(),
            "rows": rows,
            "notes": notes,
        }
        write_atomically(output, (json.dumps(record, indent=1) + "\n").encode())
    return int(any(row["held"] < row["tried"] for row in rows))


def _shown(arguments: argparse.Namespace) -> list[str]:
    """The options that decide which inputs were tried."""
    shown = [word for name in arguments.target or () for word in ("--target", name)]
    shown += ["--inputs", str(arguments.inputs)] if arguments.inputs is not None else []
    return [*shown, *(["--seed", str(arguments.seed)] if arguments.seed else [])]


if __name__ == "__main__":
    sys.exit(main())

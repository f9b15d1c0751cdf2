"""Runs steps in processes of their own and keeps every result as it comes: what crashes or hangs costs only itself."""

import importlib
import json
import multiprocessing
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from benchmarks.gpu.plan import HEADLINES, POINTS, REHEARSED, WINDOWS, Point, Step
from benchmarks.record import Record, write_record
from vavl_bench.steady_state import WindowSettings
from vavl_runtime.errors import VavlError

Results = Iterator[tuple[str, Record]]


@dataclass(frozen=True)
class Context:
    """What every step is given.

    Attributes:
        device: ``cuda:N``; ``cpu`` in a rehearsal.
        preset: Preset of the measured bundle.
        structures: Folder of its graphs and recipe.
        work: Folder for the filled bundle and the reference outputs.
        rehearsal: Measure next to nothing; the figures mean nothing.
        found: The record's steps so far.
    """

    device: str
    preset: str
    structures: Path
    work: Path
    rehearsal: bool
    found: Record

    @property
    def bundle(self) -> Path:
        """Folder of the filled bundle."""
        return self.work / self.preset

    def points(self, side: str) -> tuple[Point, ...]:
        """The points of a side, each once, in order."""
        points = POINTS[side]
        return tuple(dict.fromkeys(point.shrunk() for point in points)) if self.rehearsal else points

    @property
    def headlines(self) -> tuple[Point, ...]:
        """The points at which answers are compared with the CPU's, and launches counted."""
        return tuple(point.shrunk() for point in HEADLINES) if self.rehearsal else HEADLINES

    @property
    def windows(self) -> WindowSettings:
        """How long to measure."""
        return REHEARSED if self.rehearsal else WINDOWS


def run_steps(steps: Sequence[Step], context: Context, record: Record, output: Path, end: float) -> None:
    """Run steps one after the other, and write the record after each result.

    Args:
        steps: The steps, the most valuable first.
        context: What they are given.
        record: The record; ``steps`` gets an entry for each step.
        output: Where the record is kept.
        end: Time by ``time.monotonic`` at which everything is over. A step that is expected to take longer is cut.
    """
    for step in steps:
        earlier = record["steps"].get(step.name, {})
        entry: Record = {"state": "cut", "results": earlier.get("results", {})}
        record["steps"][step.name] = entry
        failed = [name for name in step.needs if record["steps"].get(name, {}).get("state") != "done"]
        if failed:
            entry |= {"state": "failed", "error": f"needs {', '.join(failed)}, which did not finish"}
        elif end - time.monotonic() >= step.expected_s:
            start = time.monotonic()
            # Rehearsals run on machines of any speed.
            limit_s = float("inf") if context.rehearsal else step.limit_s
            _run_apart(step, context, entry, record, output, min(start + limit_s, end))
            entry["seconds"] = round(time.monotonic() - start, 1)
        print(f"{step.name}: {entry['state']} {entry.get('error', '')}", file=sys.stderr, flush=True)
        write_record(record, output)


def _run_apart(step: Step, context: Context, entry: Record, record: Record, output: Path, end: float) -> None:
    processes = multiprocessing.get_context("spawn")
    receiver, sender = processes.Pipe(duplex=False)
    process = processes.Process(target=_work, args=(step, context, sender))
    process.start()
    sender.close()
    entry["state"] = "failed"
    try:
        while receiver.poll(max(end - time.monotonic(), 0.0)):
            kind, name, result = receiver.recv()
            if kind == "result":
                entry["results"][name] = result
                print(f"  {name}: {json.dumps(result)[:200]}", file=sys.stderr, flush=True)
                write_record(record, output)
                continue
            entry |= {"state": "done"} if kind == "done" else {"error": result}
            return
        entry["error"] = "ran out of time; what is missing was not reached"
    except EOFError:
        process.join()
        entry["error"] = f"its process died with exit code {process.exitcode}; see the output above"
    finally:
        process.kill()
        process.join()


def _work(step: Step, context: Context, sender: Connection) -> None:
    module, function, argument = step.work
    try:
        for name, result in getattr(importlib.import_module(module), function)(context, argument):
            sender.send(("result", name, result))
        sender.send(("done", "", {}))
    except Exception as error:  # whatever it is, the record says it and the next step runs
        traceback.print_exc()
        sender.send(("failed", "", describe(error)))


def describe(error: Exception) -> str:
    """An error in one line: ours speak for themselves, of others the type helps."""
    return str(error) if isinstance(error, VavlError) else f"{type(error).__name__}: {error}"

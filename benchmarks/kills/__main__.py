"""Kills the long commands at random points and looks at what is left: nothing may be lost or half-written.

    python -m benchmarks.kills [--points 20] [--seed 14] [--command NAME]... [-o FILE]

Each point starts afresh. A command is killed before a random change of its files, or at a random moment. Then nothing
that it reported or that stood there before may be lost or half-written, all of its processes must end, and the next run
must give what an undisturbed one gives and name or remove what the killed one left. After SIGTERM and SIGHUP nothing
temporary may be left. Needs Linux, the extras `export` and `train`, and for engines TensorRT-RTX.
"""

import argparse
import datetime
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.kills.command import Command
from benchmarks.kills.exporting import GRAPHS, ExportOnnx, ExportTensorRt
from benchmarks.kills.inputs import Inputs, build_earlier_engines, make_inputs
from benchmarks.kills.points import Point, Points
from benchmarks.kills.processes import GROUP_LIMIT_S
from benchmarks.kills.running import Run
from benchmarks.kills.training import TrainFeatures, TrainFit
from benchmarks.record import RESULTS, write_record

COMMANDS: dict[str, Callable[[Inputs], Command]] = {
    "onnx": ExportOnnx,
    "tensorrt": ExportTensorRt,
    "features": TrainFeatures,
    "fit": TrainFit,
    "jsonl": partial(Run, suffix="jsonl"),
    "csv": partial(Run, suffix="csv"),
    "json": partial(Run, suffix="json"),
}
HOW = (
    "Commands run in copies of one process that has imported their libraries, so that points hit their work; some are "
    "programs of their own. Half of the points are random moments, half the moments before a random change of a file. "
    "For vavl-export onnx, PyTorch traces the graphs once for all runs. The workers of vavl-train features are copies, "
    "too."
)
SOFT = (signal.SIGTERM, signal.SIGHUP)


def take_points(command: Command, folder: Path, count: int, seed: int, whole: int) -> dict[str, list[Point]]:
    """Take the points of a command.

    Args:
        command: The command.
        folder: Where it runs.
        count: Points of SIGKILL; a third as many of SIGTERM and SIGHUP together, at least two.
        seed: Of the random numbers.
        whole: At so many points of SIGKILL it is a program of its own.

    Returns:
        Points by signal.
    """
    points = Points(command, folder, seed)
    taken: dict[str, list[Point]] = {"SIGKILL": [], "SIGTERM and SIGHUP": []}
    for number in range(count):
        # Twos of each kind, so that each kind meets what was there before and what was not.
        whole_one = number < whole
        point = points.take(number, signal.SIGKILL, by_change=not whole_one and number // 4 % 2 == 0, whole=whole_one)
        taken["SIGKILL"].append(_told(command, point))
    for number in range(max(2, count // 3)):
        point = points.take(number, SOFT[number % 2], by_change=number % 4 >= 2)
        taken["SIGTERM and SIGHUP"].append(_told(command, point))
    return taken


def _told(command: Command, point: Point) -> Point:
    print(f"{command.name}: {point.place}: {point.fault or 'held'}", file=sys.stderr, flush=True)
    return point


def rows_of(command: Command, taken: dict[str, list[Point]]) -> list[dict[str, Any]]:
    """The rows of a command in the record."""
    limits = {
        "SIGKILL": f"nothing lost; all processes gone in {GROUP_LIMIT_S:.0f} s; next run gives the same",
        "SIGTERM and SIGHUP": "the same, and nothing temporary left",
    }
    return [
        {
            "what": f"{command.name}, {name}",
            "tried": len(points),
            "held": sum(point.fault is None for point in points),
            "limit": limits[name],
            "worst": f"last process gone after {max(point.after_s for point in points):.1f} s; "
            f"{sum(point.left > 0 for point in points)} left temporary files",
        }
        for name, points in taken.items()
    ]


def notes_of(command: Command, taken: dict[str, list[Point]]) -> list[str]:
    """What was compared, and every fault."""
    return [
        f"{command.name}: compared with an undisturbed run: {command.compared}.",
        *(
            f"{command.name}, {point.place}: {point.fault}"
            for points in taken.values()
            for point in points
            if point.fault is not None
        ),
    ]


def main() -> int:
    """Kill, look, and write the record; exit with 1 if something was lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=20)
    parser.add_argument("--whole", type=int, default=2, help="so many points hit a program of its own")
    parser.add_argument("--seed", type=int, default=14)
    parser.add_argument("--command", action="append", choices=COMMANDS, help="only this one; other rows stay")
    parser.add_argument("--inputs", type=Path, help="keep the inputs here, or take those of an earlier run")
    parser.add_argument("--output", "-o", type=Path, default=RESULTS / "reliability" / "kill.json")
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    # No `TemporaryDirectory`: forked commands would remove it at their end.
    folder = Path(tempfile.mkdtemp(prefix="vavl-kills-"))
    old = json.loads(arguments.output.read_text("utf-8")) if arguments.output.exists() else {"rows": [], "notes": []}
    lost = 0
    try:
        inputs = make_inputs(arguments.inputs or folder / "inputs")
        for key in arguments.command or COMMANDS:
            if key == "tensorrt":
                if find_spec("tensorrt_rtx") is None:
                    print("tensorrt: left out; needs pip install 'vavl-edge[tensorrt-rtx]'", file=sys.stderr)
                    continue
                build_earlier_engines(inputs, GRAPHS)
            command = COMMANDS[key](inputs)
            taken = take_points(command, folder / key, arguments.points, arguments.seed, arguments.whole)
            rows, notes = rows_of(command, taken), notes_of(command, taken)
            lost += sum(row["tried"] - row["held"] for row in rows)
            ours = (f"{command.name},", f"{command.name}:")
            old["rows"] = [row for row in old["rows"] if not row["what"].startswith(ours)] + rows
            old["notes"] = [note for note in old["notes"] if note != HOW and not note.startswith(ours)] + notes
            write_record(
                {
                    "title": "Long commands, killed",
                    "command": f"python -m benchmarks.kills --points {arguments.points} --seed {arguments.seed}",
                    "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
                    "rows": old["rows"],
                    "notes": [HOW, *old["notes"]],
                },
                arguments.output,
            )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())

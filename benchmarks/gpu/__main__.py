"""Measures the paper-sized model on a GPU: ``python -m benchmarks.gpu -o OUT.json``; see README.md beside this file."""

import argparse
import os
import sys
import time
from pathlib import Path

from benchmarks.gpu.coordinator import Coordinator
from benchmarks.gpu.graphs import write_graphs
from benchmarks.gpu.plan import points
from benchmarks.gpu.record import Record
from vavl_runtime.devices.cpu import usable_cores
from vavl_runtime.errors import VavlError

_WORKERS = 8  # each holds a network or a graph of a gigabyte


def main() -> int:
    """Export, then measure until everything is done or the time is up; returns 0, or 4 without the device."""
    begin = time.monotonic()
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--output", "-o", type=Path, default=Path("benchmarks/results/gpu.json"))
    parser.add_argument("--work", type=Path, default=Path("/tmp/vavl-gpu"), help="keeps graphs and compiled kernels")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--tiny", action="store_true", help="tiny networks, few runs: a dry run")
    parser.add_argument("--budget-seconds", type=float, default=570.0, help="stop before; the same command goes on")
    parser.add_argument("--points", type=int, help="only the first so many points")
    arguments = parser.parse_args()
    folder = arguments.work / ("tiny" if arguments.tiny else "paper")
    # torch.compile takes a minute for each shape; a second command finds what the first compiled.
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(arguments.work / "inductor"))
    try:
        record = Record(arguments.output, "python -m benchmarks.gpu", tiny=arguments.tiny)
        coordinator = Coordinator(
            record,
            device=arguments.device,
            folder=folder,
            tiny=arguments.tiny,
            deadline=begin + arguments.budget_seconds,
            progress=_say,
        )
        coordinator.measure_ceilings()
        workers = 1 if arguments.tiny else min(_WORKERS, usable_cores())
        write_graphs(folder, tiny=arguments.tiny, workers=workers, progress=_say)
        _say(f"{time.monotonic() - begin:.0f} s until the first point")
        complete = coordinator.measure(points()[: arguments.points])
    except VavlError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    _say("all points are done" if complete else "out of time; the same command goes on")
    print(arguments.output)
    return 0


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())

"""Clips a second with several processes that read clips, against one process, on the CPU.

    python -m benchmarks.studies.jobs CLIP... [--jobs 2] [--clips 24] [--rounds 5] [-o benchmarks/results/jobs.json]

The clips are repeated until there are enough. All sides take the same list, in rounds that alternate:

    one process            `predict_many`, graphs on all cores
    one process, 1 thread  `predict_many`, graphs on one thread each
    1 job                  `predict_many(jobs=1)`: reading in one process, graphs in another
    1 job, all threads     the same with graphs on all cores: what `vavl-run FOLDER` does, or `--isolate`
    N jobs                 `predict_many(jobs=N)`, graphs of one thread, N at once: what `vavl-run --jobs N` does
    N jobs, all threads    the same, each graph on all cores
    N whole processes      as many processes, each of which does everything for its clips and holds all graphs

Starting processes is not counted, nor are the first two clips of each: rates are those of a long list.
"""

import contextlib
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from benchmarks.record import Record, benchmark_parser, new_record, write_record
from vavl_runtime import Recognizer
from vavl_runtime.bundle import PACKAGED_BUNDLE
from vavl_runtime.devices.cpu import usable_cores

ONE = "one process"
Side = Callable[[list[Path]], Iterable[object]]

_whole: Recognizer | None = None  # of a process that does everything


def _open_whole(bundle: Path) -> None:
    global _whole
    _whole = Recognizer(bundle, device="cpu", threads=1)


def _predict_whole(clip: Path) -> str | None:
    assert _whole is not None  # `_open_whole` was here
    return _whole.predict(clip).path


def whole_processes(bundle: Path, jobs: int, clips: list[Path]) -> Iterator[object]:
    """Results of processes that do everything for their clips."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context, _open_whole, (bundle,)) as pool:
        yield from pool.map(_predict_whole, clips)


def rate(results: Iterable[object], unmeasured: int) -> float:
    """Clips a second after the first few."""
    times = []
    for _ in results:
        times.append(time.perf_counter())
    measured = times[unmeasured - 1 :]
    return (len(measured) - 1) / (measured[-1] - measured[0])


def take_rounds(
    sides: dict[str, Side], clips: list[Path], unmeasured: int, rounds: int
) -> tuple[list[dict[str, float]], list[float]]:
    """Measure in rounds; every second round goes backwards.

    Returns:
        Clips a second by side, of each round; and the machine's load after it.
    """
    taken, loads = [], []
    for number in range(rounds):
        found = {}
        for name in list(sides)[:: -1 if number % 2 else 1]:
            found[name] = rate(sides[name](clips), unmeasured)
            print(f"{name}: {found[name]:.2f} clips/s", file=sys.stderr)
        taken.append({name: found[name] for name in sides})
        loads.append(os.getloadavg()[0])
    return taken, loads


def summary(rounds: list[dict[str, float]]) -> dict[str, Any]:
    """Median and best rate by side, and the median of the ratios to one process in the same round."""
    return {
        name: {
            "median": statistics.median(each[name] for each in rounds),
            "best": max(each[name] for each in rounds),
            "ratio": statistics.median(each[name] / each[ONE] for each in rounds),
        }
        for name in rounds[0]
    }


def table(record: Record) -> str:
    """The section of a record."""
    machine = record["environment"]
    lines = [
        "## Many clips: several processes against one",
        "",
        f"`{record['command']}`: the packaged bundle on the CPU, {len(record['rounds'])} rounds of {record['clips']} "
        f"clips of {record['seconds']:.1f} s on average; {machine['processor']}, {machine['threads']} threads, Python "
        f"{machine['python']}, onnxruntime {machine['onnxruntime']}. The machine was shared: its load was "
        f"{min(record['loads']):.1f} to {max(record['loads']):.1f}, where {machine['threads']} would be ours alone. "
        "Where others compete for the cores, several processes also get a larger share of them than one.",
        "",
        "| | clips/s, median | best | to one process, median of the ratios |",
        "|---|---:|---:|---:|",
    ]
    lines += [
        f"| {name} | {side['median']:.2f} | {side['best']:.2f} | {side['ratio']:.2f} |"
        for name, side in record["sides"].items()
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Measure and write the record."""
    parser = benchmark_parser("jobs", __doc__)
    parser.add_argument("clip", type=Path, nargs="+")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--clips", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    jobs, rounds = arguments.jobs, arguments.rounds
    clips = list(islice(cycle(arguments.clip), arguments.clips))
    with contextlib.ExitStack() as stack:
        all_cores = stack.enter_context(Recognizer(PACKAGED_BUNDLE, device="cpu"))
        one_thread = stack.enter_context(Recognizer(PACKAGED_BUNDLE, device="cpu", threads=1))
        sides: dict[str, Side] = {
            ONE: all_cores.predict_many,
            f"{ONE}, 1 thread": one_thread.predict_many,
            "1 job": lambda clips: one_thread.predict_many(clips, jobs=1),
            "1 job, all threads": lambda clips: all_cores.predict_many(clips, jobs=1),
            f"{jobs} jobs": lambda clips: one_thread.predict_many(clips, jobs=jobs),
            f"{jobs} jobs, all threads": lambda clips: all_cores.predict_many(clips, jobs=jobs),
            f"{jobs} whole processes": lambda clips: whole_processes(PACKAGED_BUNDLE, jobs, clips),
        }
        taken, loads = take_rounds(sides, clips, 2 * jobs, rounds)
        seconds = statistics.mean(result.duration_s for result in one_thread.predict_many(clips))
    names = " ".join(clip.name for clip in arguments.clip)
    command = f"python -m benchmarks.studies.jobs {names} --jobs {jobs} --clips {len(clips)} --rounds {rounds}"
    record = {
        **new_record("jobs", command, usable_cores()),
        "clips": len(clips),
        "seconds": seconds,
        "loads": loads,
        "sides": summary(taken),
        "rounds": taken,
    }
    write_record(record, arguments.output)
    print(table(record))
    return 0


if __name__ == "__main__":
    sys.exit(main())

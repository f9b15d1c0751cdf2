"""What `vavl-run` costs around its inference: from the start of the process to the printed result.

    python -m benchmarks.studies.startup CLIP [--rounds 15] [-o benchmarks/results/startup.json]

Each round starts the command again with the packaged bundle and reads one line of JSON from it, which holds the time of
the inference by the command's own clock, loading of the graphs included. After each round a process that only imports
the libraries shows what any program built on them would need.
"""

import json
import statistics
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

from benchmarks.record import Record, benchmark_parser, new_record, write_record
from vavl_runtime.bundle import PACKAGED_BUNDLE
from vavl_runtime.devices.cpu import usable_cores

LIBRARIES = ("numpy", "onnxruntime", "av", "pydantic", "typer")
COMMAND = Path(sysconfig.get_path("scripts")) / "vavl-run"


def start(clip: Path) -> dict[str, float]:
    """Run the command once, and after it the imports alone.

    Returns:
        Seconds: ``whole``, to the printed result; ``inference``; ``load``, the part of it that loads graphs; ``clip``,
        the clip's length; ``libraries``, of a process that only imports them.

    Raises:
        RuntimeError: The command failed.
    """
    begin = time.perf_counter()
    command = [COMMAND, clip, "--bundle", PACKAGED_BUNDLE, "--format", "jsonl", "--device", "cpu"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        line = process.stdout.readline()  # type: ignore[union-attr]  # stdout is a pipe
        whole = time.perf_counter() - begin
    if process.returncode:
        raise RuntimeError(f"{COMMAND} ended with exit code {process.returncode}")
    result = json.loads(line)
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", f"import {', '.join(LIBRARIES)}"], check=True)
    return {
        "whole": whole,
        "inference": result["timings_ms"]["total"] / 1000,
        "load": result["timings_ms"]["load"] / 1000,
        "clip": result["duration_s"],
        "libraries": time.perf_counter() - begin,
    }


def table(record: Record) -> str:
    """The section of a record."""
    machine, median, ratio = record["environment"], record["median"], record["ratio"]
    ms = {name: f"{1000 * seconds:.0f}" for name, seconds in median.items()}
    lines = [
        "## From the start of the process to the printed result",
        "",
        f"`{record['command']}`: `vavl-run` on a clip of {median['clip']:.1f} s with the packaged bundle; "
        f"{machine['processor']}, {machine['threads']} threads, Python {machine['python']}, onnxruntime "
        f"{machine['onnxruntime']}. Medians of {len(record['rounds'])} processes, ms.",
        "",
        "| start to printed result | before and after the inference | importing the libraries alone | inference "
        "| of it loading graphs | ratio of the first to the inference |",
        "|---:|---:|---:|---:|---:|---:|",
        f"| {ms['whole']} | {1000 * (median['whole'] - median['inference']):.0f} | {ms['libraries']} "
        f"| {ms['inference']} | {ms['load']} | {ratio['median']:.2f} "
        f"({ratio['least']:.2f} to {ratio['largest']:.2f}) |",
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Measure and write the record."""
    parser = benchmark_parser("startup", __doc__)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    start(arguments.clip)  # fills the page cache
    rounds = [start(arguments.clip) for _ in range(arguments.rounds)]
    ratios = [each["whole"] / each["inference"] for each in rounds]
    command = f"python -m benchmarks.studies.startup {arguments.clip.name} --rounds {arguments.rounds}"
    record = {
        **new_record("startup", command, usable_cores()),
        "median": {key: statistics.median(each[key] for each in rounds) for key in rounds[0]},
        "ratio": {"median": statistics.median(ratios), "least": min(ratios), "largest": max(ratios)},
        "rounds": rounds,
    }
    write_record(record, arguments.output)
    print(table(record))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What `vavl-run` costs around its inference: from the start of the process to the printed result.

    python -m benchmarks.studies.startup CLIP [--rounds 15] [-o benchmarks/results/startup.json]

Each round starts the command line anew with the packaged bundle and reads one line of JSON from it. The line holds the
time of the inference by the command's own clock, from opening the clip to the answer, loading of the graphs included.
Between the rounds a process that only imports the libraries shows what no runtime made of them could do without.
"""

import argparse
import json
import statistics
import subprocess
import sys
import sysconfig
import time
from pathlib import Path
from typing import Any

from benchmarks.environment import environment
from vavl_runtime.bundle import PACKAGED_BUNDLE
from vavl_runtime.devices.cpu import usable_cores
from vavl_runtime.files import write_atomically

LIBRARIES = ("numpy", "onnxruntime", "av", "pydantic", "typer")
COMMAND = Path(sysconfig.get_path("scripts")) / "vavl-run"


def libraries() -> float:
    """Seconds of a process that imports what the command needs of others, and nothing else."""
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", f"import {', '.join(LIBRARIES)}"], check=True)
    return time.perf_counter() - begin


def start(clip: Path) -> dict[str, float]:
    """Run the command line once, and after it the libraries alone.

    Returns:
        Seconds to the printed result (``whole``), of the inference (``inference``), of loading in it (``load``), of the
        clip (``clip``), and of a process that only imports the libraries (``libraries``).
    """
    begin = time.perf_counter()
    command = [COMMAND, clip, "--bundle", PACKAGED_BUNDLE, "--format", "jsonl", "--device", "cpu"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        line = process.stdout.readline()  # type: ignore[union-attr]  # stdout is a pipe
        whole = time.perf_counter() - begin
    if process.returncode:
        raise RuntimeError(f"{COMMAND} ends with {process.returncode}")
    answer = json.loads(line)
    timings = answer["timings_ms"]
    return {
        "whole": whole,
        "inference": timings["total"] / 1000,
        "load": timings["load"] / 1000,
        "clip": answer["duration_s"],
        "libraries": libraries(),
    }


def table(record: dict[str, Any]) -> str:
    """The table of a result."""
    machine, median = record["environment"], record["median"]
    around = median["whole"] - median["inference"]
    lines = [
        "## From the start of the process to the printed result",
        "",
        f"`{record['command']}`: `vavl-run` on a clip of {median['clip']:.1f} s with the packaged bundle; "
        f"{machine['processor']}, {machine['threads']} threads, Python {machine['python']}, onnxruntime "
        f"{machine['onnxruntime']}. Medians of {len(record['rounds'])} processes, ms.",
        "",
        "| start to printed result | before and after the inference | importing the libraries alone | inference "
        "| of it loading graphs | ratio |",
        "|---:|---:|---:|---:|---:|---:|",
        f"| {1000 * median['whole']:.0f} | {1000 * around:.0f} | {1000 * median['libraries']:.0f} "
        f"| {1000 * median['inference']:.0f} "
        f"| {1000 * median['load']:.0f} | {record['ratio']['median']:.2f} ({record['ratio']['least']:.2f} to "
        f"{record['ratio']['largest']:.2f}) |",
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--output", "-o", type=Path, default=Path("benchmarks/results/startup.json"))
    arguments = parser.parse_args()
    start(arguments.clip)  # fills the page cache
    rounds = [start(arguments.clip) for _ in range(arguments.rounds)]
    ratios = [each["whole"] / each["inference"] for each in rounds]
    record = {
        "benchmark": "startup",
        "command": f"python -m benchmarks.studies.startup {arguments.clip.name} --rounds {arguments.rounds}",
        "environment": environment(usable_cores(), LIBRARIES),
        "median": {key: statistics.median(each[key] for each in rounds) for key in rounds[0]},
        "ratio": {"median": statistics.median(ratios), "least": min(ratios), "largest": max(ratios)},
        "rounds": rounds,
    }
    write_atomically(arguments.output, (json.dumps(record, indent=1) + "\n").encode())
    print(json.dumps({key: record[key] for key in ("median", "ratio")}))
    return 0


if __name__ == "__main__":
    sys.exit(main())

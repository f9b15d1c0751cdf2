"""Whether the default number of threads is a good one: a whole clip with every number of threads, turn by turn.

    python -m benchmarks.studies.threads CLIP BUNDLE [BUNDLE ...] [--rounds 7] [-o benchmarks/results/threads.json]

Numbers go from one to twice the cores that the process may use; more threads than cores take turns on them. The default
is one of these numbers and is not measured again: two recognisers of equal settings differ by where their memory lies.
"""

import argparse
import json
import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.environment import environment
from benchmarks.rounds import least_and_median, take_turns
from vavl_runtime import Recognizer
from vavl_runtime.devices.cpu import usable_cores
from vavl_runtime.files import write_atomically

TURN_S = 0.5


def default_threads() -> int:
    """Threads that the runtime takes unless told otherwise, as it says itself."""
    with Recognizer(device="cpu") as recognizer:
        return recognizer.backend.threads or 1


def measure(bundle: Path, clip: Path, rounds: int) -> dict[str, list[float]]:
    """Seconds a clip by number of threads, a median of each turn."""
    with ExitStack() as stack:
        sides = {
            str(threads): partial(stack.enter_context(Recognizer(bundle, device="cpu", threads=threads)).predict, clip)
            for threads in range(1, 2 * usable_cores() + 1)
        }
        return take_turns(sides, rounds, TURN_S)


def slower_than_best(turns: dict[str, list[float]], threads: int) -> float:
    """How many times the best number's median time this number of threads takes; it can itself be the best."""
    medians = {name: least_and_median(taken)["median"] for name, taken in turns.items()}
    return medians[str(threads)] / min(medians.values())


def table(record: dict[str, Any]) -> str:
    """The table of a result."""
    machine = record["environment"]
    names = list(next(iter(record["seconds"].values())))
    lines = [
        "## Number of threads on the CPU",
        "",
        f"`{record['command']}`: a whole clip, file in, answer out, models loaded; {machine['processor']}, "
        f"{machine['threads']} cores, onnxruntime {machine['onnxruntime']}; the default is {record['default']}. Median "
        f"of {record['rounds']} turns, ms.",
        "",
        "| bundle | " + " | ".join(names) + " | default, of the best |",
        "|---|" + "---:|" * (len(names) + 1),
    ]
    for bundle, turns in record["seconds"].items():
        cells = " | ".join(f"{1000 * least_and_median(turns[name])['median']:.0f}" for name in names)
        lines.append(f"| {bundle} | {cells} | {slower_than_best(turns, record['default']):.2f} x |")
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path)
    parser.add_argument("bundles", type=Path, nargs="+")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--output", "-o", type=Path, default=Path("benchmarks/results/threads.json"))
    arguments = parser.parse_args()
    names = " ".join(bundle.name for bundle in arguments.bundles)
    record = {
        "benchmark": "threads",
        "command": f"python -m benchmarks.studies.threads {arguments.clip.name} {names} --rounds {arguments.rounds}",
        "environment": environment(usable_cores(), ("onnxruntime",)),
        "rounds": arguments.rounds,
        "default": default_threads(),
        "seconds": {bundle.name: measure(bundle, arguments.clip, arguments.rounds) for bundle in arguments.bundles},
    }
    write_atomically(arguments.output, (json.dumps(record, indent=1) + "\n").encode())
    print(table(record))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Record on which platforms the runtime was seen to work, for docs/platforms.md.

    python -m benchmarks.platforms                                              # this Python on this machine
    python -m benchmarks.platforms --how emulated --python FOLDER/python        # see tests/platforms/emulator.py
    PYTHONPATH=tests/platforms/restrictions python -m benchmarks.platforms --how imitated --system "macOS, Windows"

Runs `benchmarks.platform_check` with that Python and keeps its answer in the JSON file; an older row of the same
platform is replaced. Exit code 1 if the answers differ from those of the first row by more than the tolerance.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

from benchmarks.compatibility import TOLERANCE
from benchmarks.platform_rows import How, Row, page
from vavl_runtime.files import write_atomically

RESULTS = Path(__file__).parent / "results" / "platforms.json"
GOLDEN_TOLERANCE = 1e-4  # of fp32 graphs, as `vavl-export verify` has it
TIMEOUT_S = 3600


def run_check(python: str, how: How, system: str | None) -> Row:
    """Run the check with a Python.

    Args:
        python: The interpreter.
        how: In which way its platform is there.
        system: Name of the system; as Python calls it by default.

    Returns:
        The row.

    Raises:
        RuntimeError: The check failed.
    """
    root = RESULTS.parents[2]
    path = os.pathsep.join([str(root / "runtime"), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [python, "-m", "benchmarks.platform_check"]
    done = subprocess.run(
        command,
        capture_output=True,
        encoding="utf-8",
        timeout=TIMEOUT_S,
        cwd=root,
        env=os.environ | {"PYTHONPATH": path},  # the emulated Python has the runtime's dependencies alone
    )
    if done.returncode:
        raise RuntimeError(f"the check ended with {done.returncode}: {(done.stderr.strip().splitlines() or [''])[-1]}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return Row(**answer | {"how": how} | ({"system": system} if system else {}))


def agrees(row: Row, reference: Row) -> bool:
    """Whether the graphs answer as on the reference platform, and the clip's file gives the same labels."""
    return (
        max(row.golden.values()) <= GOLDEN_TOLERANCE
        and row.largest_difference(reference, "arrays") <= TOLERANCE
        and row.labels == reference.labels
    )


def main() -> int:
    """Run the check and keep its answer."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--how", choices=get_args(How), default="run")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--system")
    parser.add_argument("--output", "-o", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    rows = read_rows(arguments.output)
    new = run_check(arguments.python, arguments.how, arguments.system)
    rows = [new if row.is_of(new) else row for row in rows]
    if new not in rows:
        rows.append(new)
    record = {"benchmark": "platforms", "tolerance": TOLERANCE, "rows": [row.to_dict() for row in rows]}
    write_atomically(arguments.output, (json.dumps(record, indent=1) + "\n").encode())
    print(page(record))
    return 0 if agrees(new, rows[0]) else 1


def read_rows(path: Path) -> list[Row]:
    """The rows recorded so far; none if there is no file."""
    return [Row(**row) for row in json.loads(path.read_text("utf-8"))["rows"]] if path.exists() else []


if __name__ == "__main__":
    sys.exit(main())

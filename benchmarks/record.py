"""The JSON record of a benchmark: which command gave which figures on what machine; one file for each benchmark."""

import argparse
import json
from pathlib import Path
from typing import Any

from vavl_bench.environment import read_environment
from vavl_runtime.files import write_atomically

RESULTS = Path(__file__).parent / "results"

Record = dict[str, Any]


def benchmark_parser(benchmark: str, description: str | None) -> argparse.ArgumentParser:
    """Make a command line with ``--output``, which every benchmark has.

    Args:
        benchmark: Name of the benchmark, and of its file in `RESULTS`.
        description: The module's docstring.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", "-o", type=Path, default=RESULTS / f"{benchmark}.json", help="JSON file to write")
    return parser


def new_record(benchmark: str, command: str, threads: int) -> Record:
    """Start a record.

    Args:
        benchmark: Name of the benchmark.
        command: The command line that gives these figures, paths without folders.
        threads: CPU threads that were used.

    Returns:
        ``benchmark``, ``command`` and ``environment``: processor, threads, and versions by distribution.
    """
    found = read_environment()
    environment = {"processor": found.processor, "threads": threads, **found.versions}
    return {"benchmark": benchmark, "command": command, "environment": environment}


def write_record(record: Record, output: Path) -> None:
    """Write a record so that an older one survives any failure."""
    write_atomically(output, (json.dumps(record, indent=1) + "\n").encode())

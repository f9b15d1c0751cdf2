"""Turns the JSON files of `benchmarks/results` into `docs/benchmarks.md`: no figure there is typed by hand.

python -m benchmarks.tables [--check]
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from vavl_runtime.files import write_atomically

RESULTS = Path(__file__).parent / "results"
PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"
HEADER = """# Benchmarks

Made by `python -m benchmarks.tables` from `benchmarks/results/*.json`; do not edit. Speeds are compared within one run
only: the machines are shared and noisy.
"""


def clip_cpu(record: dict[str, Any]) -> str:
    """The table of `benchmarks.clip_cpu`."""
    base, ours, every = record["seconds"]
    environment = record["environment"]
    clip = record["clip"]
    lines = [
        "## One clip on the CPU, paper-sized, audio-visual",
        "",
        f"`{record['command']}`: a clip of {clip['seconds']:.1f} s, {clip['frames']} frames; "
        f"{environment['processor']}, {environment['threads']} threads, torch {environment['torch']}, onnxruntime "
        f"{environment['onnxruntime']}. Random weights, fp32; least of {len(record['rounds'][base])} rounds. "
        "Scope: file in, answer out, models loaded.",
        "",
        "| stage | PyTorch eager, ms | vavl-run, ms | faster | every frame detected, ms | faster |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    rows = [
        (stage, *(record["seconds"][name][stage] for name in (base, ours, every))) for stage in record["seconds"][base]
    ]
    rows.append(("**whole clip**", *(record["totals"][name] for name in (base, ours, every))))
    for stage, eager, fast, each in rows:
        lines.append(
            f"| {stage} | {1000 * eager:.0f} | {1000 * fast:.0f} | {eager / fast:.1f} x "
            f"| {1000 * each:.0f} | {eager / each:.1f} x |"
        )
    difference = record["largest_prediction_difference"]
    lines += [
        "",
        f"Largest difference of a probability from PyTorch's answer: {difference[every]:.1e} with every frame "
        f"detected, {difference[ours]:.1e} with the default recipe (detection on every fifth frame, the boxes between "
        "interpolated).",
    ]
    return "\n".join(lines) + "\n"


TABLES = {"clip_cpu": clip_cpu}


def page() -> str:
    """The whole page."""
    records = [json.loads(path.read_text("utf-8")) for path in sorted(RESULTS.glob("*.json"))]
    return HEADER + "".join("\n" + TABLES[record["benchmark"]](record) for record in records)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail if the page is not what the JSON files give")
    if parser.parse_args().check:
        return int(PAGE.read_text("utf-8") != page())
    write_atomically(PAGE, page().encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Writes the tables of speed and accuracy in the README from the JSON files.

python -m benchmarks.front_page [--check]
"""

import argparse
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks import clip_table, fit_cpu
from benchmarks.gpu import tables as gpu_tables
from benchmarks.record import RESULTS, Record
from vavl.evaluation.report import EvaluationReport
from vavl_runtime.bundle.manifest import PathName
from vavl_runtime.files import write_atomically

HERE = Path(__file__).parent
README = HERE.parent / "README.md"
EVALUATION = HERE / "evaluations" / "javanese.json"
FIGURES: dict[str, Callable[[Record], str]] = {
    "clip_cpu": clip_table.figure,
    "gpu": gpu_tables.figure,
    "fit_cpu": fit_cpu.figure,
}
PATHS: dict[PathName, str] = {"audio_visual": "audio-visual", "audio": "audio", "visual": "visual"}


def speed(records: dict[str, Record]) -> str:
    """The figures of every benchmark that the README quotes and that was run."""
    return "\n".join(write(records[name]) for name, write in FIGURES.items() if name in records).strip()


def accuracy(report: EvaluationReport) -> str:
    """The table of the packaged bundle's recipe on speakers that were not in training."""
    lines = [
        f"The recipe of the packaged bundle on speakers that were not in training: {len(report.partitions)} "
        f"partitions, {len(report.labels)} classes ({', '.join(report.labels)}), chance {1 / len(report.labels):.3f}.",
        "",
        "| Path | Macro F1, mean ± deviation | Accuracy |",
        "|---|---:|---:|",
    ]
    for path, title in PATHS.items():
        f1, hits = report.summary[path]["macro_f1"], report.summary[path]["micro_f1"]
        lines.append(f"| {title} | {f1.mean:.2f} ± {f1.deviation or 0:.2f} | {hits.mean:.2f} |")
    return "\n".join(lines)


def filled(text: str, tables: dict[str, str], command: str = "python -m benchmarks.front_page") -> str:
    """Put each table between the two comments that name it.

    Args:
        text: A page.
        tables: The tables, by name.
        command: What the comments name as the tables' origin.

    Returns:
        The page with these tables.

    Raises:
        ValueError: The text lacks the comments of a table.
    """
    for name, table in tables.items():
        start, end = f"<!-- {name}: {command} -->", f"<!-- end of {name} -->"
        pattern = re.compile(f"{re.escape(start)}.*?{re.escape(end)}", re.DOTALL)
        if not pattern.search(text):
            raise ValueError(f"got no {start} … {end}, expected it around the table of {name}")
        text = pattern.sub(lambda _, new=f"{start}\n{table}\n{end}": new, text)  # type: ignore[misc]
    return text


def main() -> int:
    """Write the tables, or compare them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail if a table is not what the JSON files give")
    check = parser.parse_args().check
    records = {path.stem: json.loads(path.read_text("utf-8")) for path in RESULTS.glob("*.json")}
    report = EvaluationReport.read(EVALUATION)
    before = README.read_text("utf-8")
    text = filled(before, {"speed": speed(records), "accuracy": accuracy(report)})
    if not check:
        write_atomically(README, text.encode())
    elif text != before:
        print("README.md is not what the JSON files give; run python -m benchmarks.front_page", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

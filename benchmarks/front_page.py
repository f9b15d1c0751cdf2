"""Writes the tables of speed and accuracy in the README from the JSON files.

python -m benchmarks.front_page [--check]
"""

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

from vavl.evaluation.report import EvaluationReport
from vavl_runtime.bundle.manifest import PathName
from vavl_runtime.files import write_atomically

HERE = Path(__file__).parent
README = HERE.parent / "README.md"
SPEED = HERE / "results" / "clip_cpu.json"
EVALUATION = HERE / "evaluations" / "javanese.json"
PEERS = {
    "pytorch": "PyTorch eager (facenet-pytorch, timm, transformers)",
    "torch.compile": "the same with `torch.compile`",
    "best parts": "the fastest part of other libraries for each stage, combined",
}
OURS = {"vavl_runtime": "VAVL Edge, fp32", "vavl_runtime, int8": "VAVL Edge, `--precision auto`"}
PATHS: dict[PathName, str] = {"audio_visual": "audio-visual", "audio": "audio", "visual": "visual"}


def speed(record: dict[str, Any]) -> str:
    """The table of `benchmarks.clip_cpu`: median time of a clip, and how much faster VAVL Edge is."""
    clip, machine, whole = record["clip"], record["environment"], record["whole"]
    ours = [side for side in OURS if side in whole]
    lines = [
        f"One clip of {clip['seconds']:.1f} s with sound and a face, a model of the paper's size, from the file to "
        f"the answer, on {machine['threads']} threads of a CPU ({machine['processor']}). `--precision auto` takes int8 "
        "where it was measured to be faster.",
        "",
        "| | Median time | " + " | ".join(f"{OURS[side]} is faster by" for side in ours) + " |",
        "|---|---:|" + "---:|" * len(ours),
    ]
    measured = {side: title for side, title in PEERS.items() if side in whole}
    for side, title in (measured | {side: f"**{OURS[side]}**" for side in ours}).items():
        gains = (record["advantage"][mine].get(side) if side in PEERS else None for mine in ours)
        cells = (f"{gain['of_medians']:.1f} x" if gain else "" for gain in gains)
        lines.append(f"| {title} | {whole[side]['median']:.1f} s | {' | '.join(cells)} |")
    return "\n".join([*lines, "", f"Measured by `{record['command']}`."])


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


def filled(text: str, tables: dict[str, str]) -> str:
    """Put each table between the two comments that name it.

    Raises:
        ValueError: The text lacks the comments of a table.
    """
    for name, table in tables.items():
        start, end = f"<!-- {name}: python -m benchmarks.front_page -->", f"<!-- end of {name} -->"
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
    record = json.loads(SPEED.read_text("utf-8"))
    report = EvaluationReport.read(EVALUATION)
    before = README.read_text("utf-8")
    text = filled(before, {"speed": speed(record), "accuracy": accuracy(report)})
    if not check:
        write_atomically(README, text.encode())
    elif text != before:
        print("README.md is not what the JSON files give; run python -m benchmarks.front_page", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Turns the JSON files of `benchmarks/results` into `docs/benchmarks.md` and the README's figures: none is typed.

The run of `vavl-bench` in `benchmarks/results/vavl_bench` becomes `docs/bench-light.md`.

python -m benchmarks.tables [--check]
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from benchmarks import clip_table, compatibility, goals, graphs_table
from benchmarks.gpu import tables as gpu_tables
from benchmarks.studies import (
    boxes,
    half_routes,
    one_core,
    precision_table,
    prepacking,
    startup,
    tensorrt_table,
    threads,
)
from vavl_bench.reports.text import report_markdown
from vavl_bench.storage import read_report
from vavl_runtime.files import write_atomically

RESULTS = Path(__file__).parent / "results"
README = Path(__file__).parent.parent / "README.md"
LIGHT_RUN = RESULTS / "vavl_bench" / "light.json"
LIGHT_PAGE = README.parent / "docs" / "bench-light.md"
PAGE = README.parent / "docs" / "benchmarks.md"
START = "<!-- figures: python -m benchmarks.tables -->"
END = "<!-- end of figures -->"
HEADER = """# Benchmarks

Made by `python -m benchmarks.tables` from `benchmarks/results/*.json`; do not edit. Speeds are compared within one run
only: the machines are shared and noisy.
"""


def fit_cpu(record: dict[str, Any]) -> str:
    """The table of `benchmarks.fit_cpu`."""
    environment, tokens, size = record["environment"], record["tokens"], record["batch_size"]
    speeds, gains, shares = record["clips_per_second"], record["gain"], sorted(record["loading_shares"])
    titles = {
        "fit": "`fit` on the feature cache",
        "fit, from memory": "`fit`, every batch made beforehand",
        "file batches": f"straight loop, a file a clip, batches of {size} in order",
        "clip by clip": "straight loop, a file a clip, an update a clip",
    }
    lines = [
        "## One epoch of training on cached features, on the CPU",
        "",
        f"`{record['command']}`: {record['clips']} clips of random features ({tokens['audio'][0]} to "
        f"{tokens['audio'][1]} tokens of sound, {tokens['visual'][0]} to {tokens['visual'][1]} of picture), VAVL with "
        f"{record['parameters']:,} parameters, the three steps of Algorithm 1, the same optimiser; "
        f"{environment['processor']}, {environment['threads']} threads, torch {environment['torch']}. Median of "
        f"{len(record['rounds']['fit'])} rounds; in brackets the least and the largest of a round.",
        "",
        "| training | clips/s | `fit` is faster |",
        "|---|---:|---:|",
    ]
    for name, title in titles.items():
        rounds, gain = record["rounds"][name], gains.get(name)
        faster = f"{gain['of_medians']:.1f} x ({gain['least']:.1f} to {gain['largest']:.1f})" if gain else ""
        speed = f"{speeds[name]:.0f} ({min(rounds):.0f} to {max(rounds):.0f})"
        lines.append(f"| {title} | {speed} | {faster} |")
    lines += [
        "",
        f"Making batches out of the cache takes {record['loading_share']:.1%} of an epoch of `fit` ({shares[0]:.1%} to "
        f"{shares[-1]:.1%}); the rest is arithmetic. Of the gain over single clips, batches as such make "
        f"{speeds['file batches'] / speeds['clip by clip']:.1f} x, clips of similar length side by side and the cache "
        f"{gains['file batches']['of_medians']:.1f} x. All files were in the page cache, which flatters the loops.",
    ]
    return "\n".join(lines) + "\n"


def fit_cpu_figure(record: dict[str, Any]) -> str:
    """The README's line of `benchmarks.fit_cpu`."""
    speeds = record["clips_per_second"]
    return (
        f"- One epoch of `vavl-train fit` on cached features, {record['parameters'] / 1e6:.1f} M parameters, "
        f"{record['environment']['threads']} CPU threads: {speeds['fit']:.0f} clips/s, against "
        f"{speeds['clip by clip']:.0f} for a straight loop that reads a file a clip: "
        f"**{record['gain']['clip by clip']['of_medians']:.1f} x faster**; {record['loading_share']:.1%} of it is "
        f"loading. `{record['command']}`\n"
    )


def no_figure(record: dict[str, Any]) -> str:
    """For results that the README does not quote."""
    return ""


TABLES = {
    "boxes": (boxes.table, no_figure),
    "clip_cpu": (clip_table.table, clip_table.figure),
    "compatibility": (compatibility.table, no_figure),
    "fit_cpu": (fit_cpu, fit_cpu_figure),
    "gpu": (gpu_tables.table, gpu_tables.figure),
    "graphs_cpu": (graphs_table.table, no_figure),
    "half_routes": (half_routes.table, no_figure),
    "one_core": (one_core.table, no_figure),
    "precision_drift": (precision_table.table, no_figure),
    "prepacking": (prepacking.table, no_figure),
    "startup": (startup.table, no_figure),
    "tensorrt_build": (tensorrt_table.table, no_figure),
    "threads": (threads.table, no_figure),
}


def pages() -> dict[Path, str]:
    """The generated text of every page, by path."""
    records = [json.loads(path.read_text("utf-8")) for path in sorted(RESULTS.glob("*.json"))]
    by_name = {record["benchmark"]: record for record in records}
    tables = HEADER + "\n" + goals.section(by_name)
    tables += "".join("\n" + TABLES[record["benchmark"]][0](record) for record in records)
    figures = "".join(TABLES[record["benchmark"]][1](record) for record in records)
    before, rest = README.read_text("utf-8").split(START)
    light = report_markdown(read_report(LIGHT_RUN))
    return {PAGE: tables, LIGHT_PAGE: light, README: before + START + "\n" + figures + END + rest.split(END)[1]}


def main() -> int:
    """Write the pages, or compare them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail if a page is not what the JSON files give")
    check = parser.parse_args().check
    for path, text in pages().items():
        if not check:
            write_atomically(path, text.encode())
        elif not path.is_file() or path.read_text("utf-8") != text:
            print(f"{path.name} is not what benchmarks/results gives; run python -m benchmarks.tables", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

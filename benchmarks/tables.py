"""Turns the JSON files of `benchmarks/results` into `docs/benchmarks.md`: no figure is typed.

The run of `vavl-bench` in `benchmarks/results/vavl_bench` becomes `docs/bench-light.md`, the checked platforms
`docs/platforms.md`, and the table of what ran on a GPU goes into `docs/gpu.md`. `docs/reliability.md` has what was
attacked and what held.

python -m benchmarks.tables [--check]
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks import clip_table, compatibility, fit_cpu, goals, graphs_table, platform_rows, reliability
from benchmarks.front_page import filled
from benchmarks.gpu import tables as gpu_tables
from benchmarks.record import RESULTS, Record
from benchmarks.studies import jobs, one_core, precision_drift, startup, tensorrt_build
from vavl_bench.reports.text import report_markdown
from vavl_bench.storage import read_report
from vavl_runtime.files import write_atomically

DOCS = Path(__file__).parent.parent / "docs"
LIGHT_RUN = RESULTS / "vavl_bench" / "light.json"
LIGHT_PAGE = DOCS / "bench-light.md"
PAGE = DOCS / "benchmarks.md"
PLATFORMS_PAGE = DOCS / "platforms.md"
GPU_PAGE = DOCS / "gpu.md"
RELIABILITY_PAGE = DOCS / "reliability.md"
COMMAND = "python -m benchmarks.tables"
HEADER = """# Benchmarks

`python -m benchmarks.tables` makes this page from `benchmarks/results/*.json`; do not edit it. Above each table stands
the command that measured it. Compare speeds within one table only: the machines were shared and noisy. To measure your
own machine, use [`vavl-bench`](bench.md); a run of it on the packaged bundle is [here](bench-light.md).
"""

# In the order of the page: the packaged bundle, comparisons with peers, precision, training, engines, versions.
SECTIONS: dict[str, Callable[[Record], str]] = {
    "one_core": one_core.table,
    "startup": startup.table,
    "jobs": jobs.table,
    "clip_cpu": clip_table.table,
    "graphs_cpu": graphs_table.table,
    "gpu": gpu_tables.table,
    "precision_drift": precision_drift.table,
    "fit_cpu": fit_cpu.table,
    "tensorrt_build": tensorrt_build.table,
    "compatibility": compatibility.table,
}


def pages() -> dict[Path, str]:
    """The generated text of every page, by path."""
    records = {path.stem: json.loads(path.read_text("utf-8")) for path in RESULTS.glob("*.json")}
    on_gpus = [records[name] for name in sorted(records) if name == "gpu" or name.startswith("gpu_")]
    return {
        PAGE: page(records),
        LIGHT_PAGE: report_markdown(read_report(LIGHT_RUN)),
        PLATFORMS_PAGE: platform_rows.page(records["platforms"]),
        RELIABILITY_PAGE: reliability.page(reliability.read_attacks(reliability.FOLDER)),
        GPU_PAGE: filled(GPU_PAGE.read_text("utf-8"), {"executed": gpu_tables.executed(on_gpus)}, COMMAND),
    }


def page(records: Mapping[str, Record]) -> str:
    """The page of all sections that have a record, the goals last."""
    sections = [write(records[name]) for name, write in SECTIONS.items() if name in records]
    return "\n".join([HEADER, *sections, goals.section(records)])


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

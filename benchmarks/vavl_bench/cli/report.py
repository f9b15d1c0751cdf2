"""``vavl-bench report``: a finished run in another format."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from vavl_bench.cli.options import OutputOption
from vavl_runtime.cli.common import exit_on_error

EPILOG = "Example: vavl-bench report result.json -o result.html -o result.md"


def report(
    result: Annotated[Path, typer.Argument(help="JSON file of a run.")],
    output: OutputOption = None,
) -> None:
    """Write a run in another format, or print its table."""
    with exit_on_error():
        from vavl_bench.reports.table import report_table
        from vavl_bench.reports.writing import write_as
        from vavl_bench.storage import read_report

        read = read_report(result)
        for place in output or []:
            write_as(read, place)
        if not output:
            sys.stdout.write(report_table(read))

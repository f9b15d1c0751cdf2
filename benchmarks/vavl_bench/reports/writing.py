"""Writes a report in the format given by the file's suffix."""

from collections.abc import Callable
from pathlib import Path

from vavl_bench.reports.page import report_page
from vavl_bench.reports.text import report_csv, report_markdown
from vavl_bench.schema import Report
from vavl_bench.storage import write_report
from vavl_runtime.errors import OutputError
from vavl_runtime.files import write_atomically

FORMATS: dict[str, Callable[[Report], str]] = {".csv": report_csv, ".md": report_markdown, ".html": report_page}


def check_output(path: Path) -> None:
    """Refuse a file with an unknown suffix, before anything is measured.

    Raises:
        OutputError: Another suffix, or HTML without matplotlib.
    """
    if path.suffix not in (".json", *FORMATS):
        raise OutputError(f"{path}: got the suffix {path.suffix!r}, expected .json, {', '.join(FORMATS)}")
    if path.suffix == ".html":
        from vavl_bench.reports.plots import new_figure

        new_figure(1, 1)


def write_as(report: Report, path: Path) -> None:
    """Write a report.

    Args:
        report: The report.
        path: Where to; its suffix is the format.

    Raises:
        OutputError: Another suffix, no matplotlib for HTML, or the place cannot be written.
    """
    check_output(path)
    if path.suffix == ".json":
        write_report(report, path)
    else:
        write_atomically(path, FORMATS[path.suffix](report).encode())

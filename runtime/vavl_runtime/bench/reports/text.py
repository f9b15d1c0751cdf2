"""A report as CSV for programs and as Markdown for pages."""

import csv
import io

from vavl_runtime.bench.record import Report
from vavl_runtime.bench.reports.columns import ERROR_COLUMN, FIGURE_COLUMNS, KEY_COLUMNS, MACHINE_COLUMNS, shown_columns
from vavl_runtime.bench.reports.notes import headline, notes
from vavl_runtime.bench.reports.stages import stage_lines


def report_csv(report: Report) -> str:
    """Write all cells and all columns, one row a cell; empty where there is no figure."""
    columns = (*KEY_COLUMNS, *MACHINE_COLUMNS, *FIGURE_COLUMNS, ERROR_COLUMN)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*(column.name for column in columns), "bundle", "bundle_sha256", "processor", "started"])
    for cell in report.cells:
        identity = (report.bundle.name, report.bundle.sha256) if report.bundle else (None, None)
        values = [column.of(cell) for column in columns]
        writer.writerow([*values, *identity, report.environment.processor, report.started])
    return text.getvalue()


def report_markdown(report: Report) -> str:
    """Write a table with what surrounds it; latencies are milliseconds."""
    columns = shown_columns(report.cells)
    lines = [f"`{report.command}`, {report.started}", "", *(f"- {line}" for line in headline(report)), ""]
    lines.append("| " + " | ".join(column.title for column in columns) + " |")
    lines.append("|" + "|".join("---" if column.digits is None else "---:" for column in columns) + "|")
    for cell in report.cells:
        lines.append("| " + " | ".join(column.text(cell).replace("|", "\\|") for column in columns) + " |")
    if stages := stage_lines(report):
        lines += ["", "```", *stages[1:], "```"]
    return "\n".join([*lines, "", *(f"- {note}" for note in notes(report))]) + "\n"

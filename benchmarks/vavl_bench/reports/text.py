"""A report as text: CSV for programs, Markdown for pages, and the lines of its stage budgets."""

import csv
import io

from vavl_bench.budget import as_stage_budget
from vavl_bench.reports.columns import (
    ERROR_COLUMN,
    FIGURE_COLUMNS,
    KEY_COLUMNS,
    MACHINE_COLUMNS,
    media_text,
    shown_columns,
)
from vavl_bench.reports.notes import headline, notes
from vavl_bench.schema import Report
from vavl_runtime.stage_profile import profile_lines


def report_csv(report: Report) -> str:
    """Write all measurements and all columns, one row a measurement; empty where there is no figure."""
    columns = (*KEY_COLUMNS, *MACHINE_COLUMNS, *FIGURE_COLUMNS, ERROR_COLUMN)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*(column.name for column in columns), "bundle", "bundle_sha256", "processor", "started"])
    for measurement in report.measurements:
        identity = (report.bundle.name, report.bundle.sha256) if report.bundle else (None, None)
        values = [column.of(measurement) for column in columns]
        writer.writerow([*values, *identity, report.environment.processor, report.started])
    return text.getvalue()


def report_markdown(report: Report) -> str:
    """Write a table with what surrounds it; latencies are milliseconds."""
    columns = shown_columns(report.measurements)
    lines = [f"`{report.command}`, {report.started}", "", *(f"- {line}" for line in headline(report)), ""]
    lines.append("| " + " | ".join(column.title for column in columns) + " |")
    lines.append("|" + "|".join("---" if column.digits is None else "---:" for column in columns) + "|")
    for measurement in report.measurements:
        lines.append("| " + " | ".join(column.text(measurement).replace("|", "\\|") for column in columns) + " |")
    if stages := stage_lines(report):
        lines += ["", "```", *stages[1:], "```"]
    return "\n".join([*lines, "", *(f"- {note}" for note in notes(report))]) + "\n"


def stage_lines(report: Report) -> list[str]:
    """Write the budget of every measurement that has one, with an empty line before each."""
    lines = []
    for measurement in report.measurements:
        if measurement.metrics is not None and measurement.metrics.budget is not None:
            key = measurement.key
            lines += ["", f"stages of {key.subject}, {key.scenario}, {media_text(key.media)}, mean of a clip:"]
            lines += [f"  {line}" for line in profile_lines(as_stage_budget(measurement.metrics.budget))]
    return lines

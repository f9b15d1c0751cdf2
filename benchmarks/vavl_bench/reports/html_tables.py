"""The tables of the HTML page: a summary that fits the window, and every figure in a table that scrolls."""

from html import escape

from vavl_bench.reports.columns import FIGURE_COLUMNS, Column, media_text, shown_columns
from vavl_bench.schema import Measurement, Report

# Figures of the summary. The window of a laptop or a phone has room for no more.
SUMMARY = ("p50_ms", "p95_ms", "p99_ms", "clips_per_s", "real_time_factor", "peak_mib")
IF_MEASURED = ("highest_rate_per_s", "device_mib", "energy_per_clip_j")


def summary_table(report: Report) -> str:
    """One row a measurement: what, state, latency, throughput, memory; a phone shows each row as a card."""
    columns = [column for column in FIGURE_COLUMNS if column.name in SUMMARY or _filled(column, report)]
    head = "".join(f'<th class="number">{escape(column.title)}</th>' for column in columns)
    rows = "".join(_summary_row(measurement, columns) for measurement in report.measurements)
    return (
        '<div class="wide"><table class="summary">'
        f'<tr class="head"><th>measurement</th><th>state</th>{head}</tr>{rows}</table></div>'
    )


def all_figures(report: Report) -> str:
    """Every column of the CSV that some measurement fills, in a container that scrolls."""
    columns = shown_columns(report.measurements)
    head = "".join(f"<th{_class(column)}>{escape(column.title)}</th>" for column in columns)
    rows = "".join(
        f'<tr class="{state_of(measurement)}">'
        + "".join(f"<td{_class(column)}>{escape(column.text(measurement))}</td>" for column in columns)
        + "</tr>"
        for measurement in report.measurements
    )
    return f'<div class="wide"><table class="all"><tr>{head}</tr>{rows}</table></div>'


def state_of(measurement: Measurement) -> str:
    """``steady``, ``unstable``, ``open_loop``, or ``failed``."""
    return "failed" if measurement.metrics is None else measurement.metrics.stability.verdict


def detail(measurement: Measurement) -> str:
    """What distinguishes a measurement from others of the same subject and scenario."""
    key = measurement.key
    where = "" if key.device == "cpu" else f", {key.device}"
    return f"batch {key.batch}, {media_text(key.media)}, {key.precision}{where}"


def _filled(column: Column, report: Report) -> bool:
    return column.name in IF_MEASURED and any(column.of(measurement) is not None for measurement in report.measurements)


def _summary_row(measurement: Measurement, columns: list[Column]) -> str:
    key, state = measurement.key, state_of(measurement)
    error = f'<div class="error">{escape(measurement.error.message)}</div>' if measurement.error else ""
    what = (
        f"<strong>{escape(key.scope)} {escape(key.subject)}</strong>, {escape(key.scenario)}"
        f'<div class="grey">{escape(detail(measurement))}</div>{error}'
    )
    figures = "".join(
        f'<td class="number" data-title="{escape(column.title)}">{escape(column.text(measurement))}</td>'
        for column in columns
    )
    pill = f'<td class="pill"><span class="state {state}">{state.replace("_", " ")}</span></td>'
    return f'<tr class="{state}"><td class="what">{what}</td>{pill}{figures}</tr>'


def _class(column: Column) -> str:
    if column.digits is not None:
        return ' class="number"'
    return ' class="error"' if column.name == "error" else ""

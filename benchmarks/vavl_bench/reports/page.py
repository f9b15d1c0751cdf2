"""A report as one HTML page that needs nothing else: no script, no font, no address."""

import html

from vavl_bench.reports.columns import Column, shown_columns
from vavl_bench.reports.notes import headline, notes
from vavl_bench.reports.plots import draw_plots
from vavl_bench.schema import Measurement, Report

STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.45 system-ui, sans-serif; color: #1a1a1a; background: #fff; margin: 2rem auto; max-width: 92rem;
       padding: 0 1.25rem; }
h1 { font-size: 1.5rem; margin-bottom: .25rem; } h2 { font-size: 1.15rem; margin-top: 2.25rem; }
code { background: #f2f2f2; padding: .1rem .3rem; overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .85rem; }
th, td { padding: .3rem .55rem; text-align: left; border-bottom: 1px solid #ddd; white-space: nowrap; }
th.number, td.number { text-align: right; } tr.unstable { background: #fff4e0; } tr.failed { background: #fde8e8; }
td.error { white-space: normal; min-width: 20rem; }
svg { max-width: 100%; height: auto; }
.warning { border-left: 4px solid #D55E00; padding: .4rem .8rem; background: #fff4e0; }
"""


def report_page(report: Report) -> str:
    """Write the page.

    Args:
        report: The report.

    Returns:
        HTML.

    Raises:
        OutputError: Matplotlib is not installed.
    """
    name = report.bundle.name if report.bundle else "peers"
    title = html.escape(f"vavl-bench: {name}")
    parts = [
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<style>{STYLE}</style></head><body>",
        f"<h1>{title}</h1><p><code>{html.escape(report.command)}</code>, {html.escape(report.started)}</p>",
    ]
    if not report.finished:
        parts.append('<p class="warning">Interrupted: measurements that were asked for are missing.</p>')
    parts += [_listed(headline(report)), "<h2>Figures</h2>", _table(report), _listed(notes(report))]
    for heading, svg in draw_plots(report).items():
        parts.append(
            f'<h2>{html.escape(heading)}</h2><figure role="img" aria-label="{html.escape(heading)}">{svg}</figure>'
        )
    return "\n".join([*parts, "</body></html>"]) + "\n"


def _listed(lines: list[str]) -> str:
    return "<ul>" + "".join(f"<li>{html.escape(line)}</li>" for line in lines) + "</ul>"


def _table(report: Report) -> str:
    columns = shown_columns(report.measurements)
    head = "".join(f"<th{_class(column)}>{html.escape(column.title)}</th>" for column in columns)
    rows = "".join(_row(measurement, columns) for measurement in report.measurements)
    return f'<p>Latencies in milliseconds.</p><div class="wide"><table><tr>{head}</tr>{rows}</table></div>'


def _row(measurement: Measurement, columns: tuple[Column, ...]) -> str:
    state = "failed" if measurement.metrics is None else measurement.metrics.stability.verdict
    values = "".join(f"<td{_class(column)}>{html.escape(column.text(measurement))}</td>" for column in columns)
    return f'<tr class="{state}">{values}</tr>'


def _class(column: Column) -> str:
    if column.digits is not None:
        return ' class="number"'
    return ' class="error"' if column.name == "error" else ""

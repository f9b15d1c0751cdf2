"""A report as a table for the terminal, and a comparison as another."""

from collections.abc import Sequence

from vavl_bench.compare import Comparison, Comparisons
from vavl_bench.reports.columns import media_text, shown_columns
from vavl_bench.reports.notes import headline, notes
from vavl_bench.reports.text import stage_lines
from vavl_bench.schema import Report


def aligned(rows: Sequence[Sequence[str]], numeric: Sequence[bool]) -> list[str]:
    """Lay out rows in columns.

    Args:
        rows: The header and the rows, equally long.
        numeric: Columns to set flush right.

    Returns:
        A line for each row.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            value.rjust(width) if right else value.ljust(width)
            for value, width, right in zip(row, widths, numeric, strict=True)
        ).rstrip()
        for row in rows
    ]


def report_table(report: Report) -> str:
    """Write a report for the terminal; latencies are milliseconds."""
    columns = shown_columns(report.measurements)
    rows = [[column.title for column in columns]]
    rows += [[column.text(measurement) for column in columns] for measurement in report.measurements]
    lines = [*headline(report), "", *aligned(rows, [column.digits is not None for column in columns])]
    lines += stage_lines(report)
    return "\n".join([*lines, "", *(f"- {note}" for note in notes(report))]) + "\n"


def comparison_table(comparisons: Comparisons, base: str, other: str) -> str:
    """Write a comparison for the terminal.

    Args:
        comparisons: What was compared.
        base: Name of the baseline.
        other: Name of the report that was judged.
    """
    rows = [["scope", "subject", "scenario", "batch", "media", base, other, "ratio", "99 % interval", "verdict"]]
    rows += [_comparison_row(pair) for pair in comparisons.pairs]
    lines = aligned(rows, [False, False, False, True, False, True, True, True, True, False])
    for name, keys in ((base, comparisons.only_base), (other, comparisons.only_other)):
        lines += [f"only in {name}: {k.scope} {k.subject}, {k.scenario}, batch {k.batch}" for k in keys]
    return "\n".join(lines) + "\n"


def _comparison_row(pair: Comparison) -> list[str]:
    key = pair.base.key
    sides = []
    for measurement in (pair.base, pair.other):
        if measurement.metrics is None:
            sides.append("failed")
        elif measurement.metrics.server is not None:
            sides.append(f"{measurement.metrics.server.highest_rate_per_s:.2f}/s")
        else:
            sides.append(f"{measurement.metrics.latency.p50_ms:.2f} ms")
    unstable = any(c.metrics is not None and c.metrics.stability.verdict == "unstable" for c in (pair.base, pair.other))
    return [
        key.scope,
        key.subject,
        key.scenario,
        str(key.batch),
        media_text(key.media),
        *sides,
        "" if pair.ratio is None else f"{pair.ratio:.3f}",
        "" if pair.low is None or pair.high is None else f"{pair.low:.3f} .. {pair.high:.3f}",
        pair.verdict + (", unstable" if unstable else ""),
    ]

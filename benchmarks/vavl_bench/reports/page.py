"""A report as one HTML page that needs nothing else: no script, no font, no address."""

from collections.abc import Callable, Iterable, Iterator
from html import escape
from pathlib import Path

from vavl_bench.reports.html_bars import percentile_bars, stage_rows
from vavl_bench.reports.html_tables import all_figures, detail, summary_table
from vavl_bench.reports.notes import headline, notes
from vavl_bench.reports.plots import distribution, lines, series
from vavl_bench.schema import Measurement, Metrics, Report

STYLE = Path(__file__).with_name("style.css")


def report_page(report: Report) -> str:
    """Write the page.

    Args:
        report: The report.

    Returns:
        HTML.

    Raises:
        OutputError: Matplotlib is not installed.
    """
    title = escape(f"vavl-bench: {report.bundle.name if report.bundle else 'peers'}")
    parts = [
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<style>{STYLE.read_text('utf-8')}</style></head><body>",
        f"<h1>{title}</h1><p><code>{escape(report.command)}</code>, {escape(report.started)}</p>",
    ]
    if not report.finished:
        parts.append('<p class="warning">Interrupted: some requested measurements are missing.</p>')
    parts += [
        _listed(headline(report)),
        '<h2>Results</h2><p class="grey">Latency in milliseconds (p50, p95, p99); RTF: seconds of work for a second '
        "of media; memory: the process at its peak.</p>",
        summary_table(report),
        _listed(notes(report)),
        *_sections(report.measurements),
        f"<h2>Every figure</h2><details><summary>Show the full table</summary>{all_figures(report)}</details>",
        "</body></html>",
    ]
    return "\n".join(parts) + "\n"


def _sections(measurements: tuple[Measurement, ...]) -> Iterator[str]:
    """The charts, those that would be empty left out."""
    yield from _section("Latency", _latency_cards(measurements))
    yield from _section("Stages of a clip", _stage_cards(measurements))
    yield from _section(
        "Throughput against batch",
        _line_cards(measurements, "batch", "batch", "clips/s", lambda metrics: metrics.throughput.clips_per_s),
    )
    yield from _section(
        "Latency against length",
        _line_cards(measurements, "seconds", "media, s", "p50, ms", lambda metrics: metrics.latency.p50_ms),
    )


def _section(title: str, cards: Iterable[str]) -> Iterator[str]:
    if drawn := list(cards):
        yield f'<h2>{title}</h2><div class="cards">{"".join(drawn)}</div>'


def _latency_cards(measurements: tuple[Measurement, ...]) -> Iterator[str]:
    """Percentiles as bars and the distribution beside them, one card for each subject and scenario."""
    groups: dict[str, list[Measurement]] = {}
    for measurement in measurements:
        if measurement.metrics is not None:
            key = measurement.key
            groups.setdefault(f"{key.scope} {key.subject}, {key.scenario}", []).append(measurement)
    for title, group in groups.items():
        figure = f'<figure role="img" aria-label="Latency distribution: {escape(title)}">{distribution(group)}</figure>'
        yield _card(title, f'<div class="pair"><div>{percentile_bars(group)}</div>{figure}</div>')


def _stage_cards(measurements: tuple[Measurement, ...]) -> Iterator[str]:
    for measurement in measurements:
        if measurement.metrics is not None and measurement.metrics.budget is not None:
            key = measurement.key
            title = f"{key.scope} {key.subject}, {key.scenario}, {detail(measurement)}"
            yield _card(title, "".join(stage_rows(measurement.metrics.budget)))


def _line_cards(
    measurements: tuple[Measurement, ...], axis: str, x: str, y: str, of: Callable[[Metrics], float]
) -> Iterator[str]:
    for title, named in series(measurements, axis).items():
        label = escape(f"{y} against {x}: {title}")
        yield _card(title, f'<figure role="img" aria-label="{label}">{lines(named, x, y, of)}</figure>')


def _card(title: str, content: str) -> str:
    return f'<section class="card"><h3>{escape(title)}</h3>{content}</section>'


def _listed(texts: list[str]) -> str:
    return '<ul class="grey">' + "".join(f"<li>{escape(text)}</li>" for text in texts) + "</ul>"

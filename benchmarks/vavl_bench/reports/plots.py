"""Plots of a report as SVG: latency distributions, throughput against batch, stage waterfall, latency against length.

Colours are Okabe and Ito's, which colour-blind people can tell apart; markers differ as well. Matplotlib is imported
when the first plot is drawn, and never its global state.
"""

import io
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from vavl_bench.reports.columns import media_text
from vavl_bench.schema import Measurement, Metrics, Report
from vavl_runtime.errors import OutputError
from vavl_runtime.stage_profile import grouped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
MARKERS = "os^Dv<>P"
POINTS = 200  # of a distribution's curve; its largest value is always one of them
COLUMNS = 2  # panels side by side
INCH_A_BAR = 0.3

Points = list[tuple[float, Metrics]]


def new_figure(width: float, height: float) -> "Figure":
    """Make a figure.

    Args:
        width: Inches.
        height: Inches.

    Raises:
        OutputError: Matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise OutputError("plots need matplotlib; pip install 'vavl-edge[report]', or write .md instead") from error
    return Figure(figsize=(width, height), layout="constrained")


def draw_plots(report: Report) -> dict[str, str]:
    """Draw what the report has figures for.

    Args:
        report: The report.

    Returns:
        SVG by title; a plot that would be empty is left out.

    Raises:
        OutputError: Matplotlib is not installed.
    """
    drawn: dict[str, str] = {}
    measurements = [measurement for measurement in report.measurements if measurement.metrics is not None]
    if measurements:
        drawn["Latency distributions"] = _svg(_distributions(measurements))
    if by_batch := _series(measurements, "batch"):
        figure = _lines(by_batch, "batch", "clips/s", lambda figures: figures.throughput.clips_per_s)
        drawn["Throughput against batch"] = _svg(figure)
    if staged := [measurement for measurement in measurements if measurement.metrics and measurement.metrics.budget]:
        drawn["Stage waterfall"] = _svg(_waterfall(staged))
    if by_length := _series(measurements, "seconds"):
        figure = _lines(by_length, "media, s", "p50 latency, ms", lambda figures: figures.latency.p50_ms)
        drawn["Latency against length"] = _svg(figure)
    return drawn


def _svg(figure: "Figure") -> str:
    """The figure as an element for a page: without XML's prologue, text as text."""
    import matplotlib

    text = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "vavl-bench"}):
        figure.savefig(text, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    return text.getvalue()[text.getvalue().index("<svg") :]


def measurement_name(measurement: Measurement) -> str:
    """A measurement in one line."""
    key = measurement.key
    what = f"{key.precision}, {key.backend}, batch {key.batch}, {media_text(key.media)}"
    return f"{key.scope} {key.subject}, {key.scenario}, {what}"


def _panels(titles: Iterable[str]) -> "tuple[Figure, dict[str, Axes]]":
    """A figure with a panel for each title."""
    names = list(dict.fromkeys(titles))
    rows = -(-len(names) // COLUMNS)
    figure = new_figure(6.5 * min(COLUMNS, len(names)), 3.6 * rows)
    panels = figure.subplots(rows, min(COLUMNS, len(names)), squeeze=False).flatten()
    for axes in panels[len(names) :]:
        axes.remove()
    for title, axes in zip(names, panels, strict=False):
        axes.set_title(title, fontsize="medium")
        axes.grid(alpha=0.3)
    return figure, dict(zip(names, panels, strict=False))


def _panel(measurement: Measurement) -> str:
    return f"{measurement.key.scope} {measurement.key.subject}"


def _distributions(measurements: list[Measurement]) -> "Figure":
    """Share of queries that take at least as long, on a logarithmic scale, which shows the tail."""
    figure, panels = _panels(map(_panel, measurements))
    for measurement in measurements:
        assert measurement.metrics is not None
        axes = panels[_panel(measurement)]
        number = len(axes.lines)
        ranked = sorted(value for window in measurement.metrics.windows for value in window.latencies_ms)
        picked = sorted({round(i * (len(ranked) - 1) / (POINTS - 1)) for i in range(POINTS)})
        axes.step(
            [ranked[i] for i in picked],
            [1 - i / len(ranked) for i in picked],
            where="post",
            color=COLOURS[number % len(COLOURS)],
            linestyle=("-", "--", ":")[number // len(COLOURS) % 3],
            label=measurement_name(measurement).removeprefix(f"{_panel(measurement)}, "),
        )
        axes.set(xscale="log", yscale="log", xlabel="latency, ms", ylabel="share that takes at least as long")
        axes.legend(fontsize="x-small")
    return figure


def _series(measurements: list[Measurement], axis: str) -> dict[str, dict[str, Points]]:
    """Measurements that differ only in batch or in length, at least two of a kind, by panel and rest of the key."""
    panels: dict[str, dict[str, Points]] = {}
    for measurement in measurements:
        assert measurement.metrics is not None
        key = measurement.key
        place = key.batch if axis == "batch" else key.media.seconds
        if place is not None and key.scenario in ("single-stream", "offline"):
            fixed = media_text(key.media) if axis == "batch" else f"batch {key.batch}"
            name = f"{key.scenario}, {key.precision}, {key.backend}, {fixed}"
            panels.setdefault(_panel(measurement), {}).setdefault(name, []).append((place, measurement.metrics))
    several = {
        panel: {name: sorted(points, key=lambda p: p[0]) for name, points in series.items() if len(points) > 1}
        for panel, series in panels.items()
    }
    return {panel: series for panel, series in several.items() if series}


def _lines(panels: dict[str, dict[str, Points]], x: str, y: str, of: Callable[[Metrics], float]) -> "Figure":
    figure, by_title = _panels(panels)
    for title, series in panels.items():
        axes = by_title[title]
        for number, (name, points) in enumerate(series.items()):
            axes.plot(
                [place for place, _ in points],
                [of(figures) for _, figures in points],
                marker=MARKERS[number % len(MARKERS)],
                color=COLOURS[number % len(COLOURS)],
                label=name,
            )
        places = sorted({place for points in series.values() for place, _ in points})
        axes.set(xlabel=x, ylabel=y, ylim=(0, None), xticks=places, xticklabels=[f"{place:g}" for place in places])
        axes.legend(fontsize="x-small")
    return figure


def _bars(measurement: Measurement) -> Iterator[tuple[str, str, float, float]]:
    """Thread, stage, start and length of each bar, milliseconds; stages of a thread follow one another."""
    assert measurement.metrics is not None and measurement.metrics.budget is not None
    for thread, stages in measurement.metrics.budget.busy_ms.items():
        start = 0.0
        for title, length in grouped(stages).items():
            yield thread, title, start, length
            start += length


def _waterfall(measurements: list[Measurement]) -> "Figure":
    """One panel a measurement: mean stages of a clip, each beginning where the one before ends, and the wall time."""
    heights = [len(list(_bars(measurement))) + 3 for measurement in measurements]
    figure = new_figure(9, INCH_A_BAR * sum(heights) + 0.4)
    panels = figure.subplots(len(measurements), 1, squeeze=False, height_ratios=heights)[:, 0]
    for measurement, axes in zip(measurements, panels, strict=True):
        assert measurement.metrics is not None and measurement.metrics.budget is not None
        bars = list(_bars(measurement))
        threads = list(measurement.metrics.budget.busy_ms)
        for row, (thread, _, start, length) in enumerate(bars):
            axes.barh(row, length, left=start, color=COLOURS[threads.index(thread) % len(COLOURS)])
            axes.text(start + length, row, f" {length:.1f}", va="center", fontsize="x-small")
        axes.axvline(measurement.metrics.budget.total_ms, color=COLOURS[-1], linestyle="--")
        several = len(threads) > 1
        axes.set_yticks(range(len(bars)), [f"{title} ({thread})" if several else title for thread, title, _, _ in bars])
        axes.invert_yaxis()
        axes.margins(x=0.1)
        axes.set_title(f"{measurement_name(measurement)}; dashed: wall time", fontsize="small")
        axes.set_xlabel("ms")
    return figure

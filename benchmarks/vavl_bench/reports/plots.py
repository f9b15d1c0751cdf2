"""Plots of a report as SVG: latency distributions, and lines of a figure against batch or length.

Matplotlib is imported when the first plot is drawn, and its global state is left alone.
"""

import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from vavl_bench.reports.colours import COLOURS
from vavl_bench.reports.columns import media_text
from vavl_bench.schema import Measurement, Metrics
from vavl_runtime.errors import OutputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARKERS = "os^Dv<>P"
POINTS = 200  # of a distribution's curve; its largest value is always one of them

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


def distribution(measurements: Sequence[Measurement]) -> str:
    """Draw which share of the queries was answered within a time, a curve for each measurement that did not fail."""
    figure = new_figure(4.2, 2.6)
    axes = _axes(figure, "latency, ms", "answered within, %")
    found = [measurement.metrics for measurement in measurements if measurement.metrics is not None]
    for number, metrics in enumerate(found):
        ranked = sorted(value for window in metrics.windows for value in window.latencies_ms)
        picked = sorted({round(i * (len(ranked) - 1) / (POINTS - 1)) for i in range(POINTS)})
        axes.step(
            [ranked[0], *(ranked[i] for i in picked)],
            [0.0, *(100 * (i + 1) / len(ranked) for i in picked)],
            where="post",
            color=COLOURS[number % len(COLOURS)],
            linestyle=("-", "--", ":")[number // len(COLOURS) % 3],
        )
    axes.set(xlim=(0, None), ylim=(0, 102))
    axes.locator_params("x", nbins=5)
    return _svg(figure)


def series(measurements: Sequence[Measurement], axis: str) -> dict[str, dict[str, Points]]:
    """Group measurements that differ only in batch or only in length.

    Args:
        measurements: Of a report; failed ones are left out.
        axis: ``batch`` or ``seconds``.

    Returns:
        By scope and subject, then by the rest of the key: at least two points in order.
    """
    panels: dict[str, dict[str, Points]] = {}
    for measurement in measurements:
        key, metrics = measurement.key, measurement.metrics
        place = key.batch if axis == "batch" else key.media.seconds
        if metrics is not None and place is not None and key.scenario in ("single-stream", "offline"):
            fixed = media_text(key.media) if axis == "batch" else f"batch {key.batch}"
            name = f"{key.scenario}, {key.precision}, {fixed}, {key.backend}"
            panels.setdefault(f"{key.scope} {key.subject}", {}).setdefault(name, []).append((place, metrics))
    several = {
        panel: {name: sorted(points, key=lambda p: p[0]) for name, points in named.items() if len(points) > 1}
        for panel, named in panels.items()
    }
    return {panel: named for panel, named in several.items() if named}


def lines(named: dict[str, Points], x: str, y: str, of: Callable[[Metrics], float]) -> str:
    """Draw a figure against batch or length, a line for each series."""
    figure = new_figure(6.0, 3.0 + 0.18 * len(named))
    axes = _axes(figure, x, y)
    for number, (name, points) in enumerate(named.items()):
        axes.plot(
            [place for place, _ in points],
            [of(metrics) for _, metrics in points],
            marker=MARKERS[number % len(MARKERS)],
            color=COLOURS[number % len(COLOURS)],
            label=name,
        )
    places = sorted({place for points in named.values() for place, _ in points})
    axes.set(ylim=(0, None), xticks=places, xticklabels=[f"{place:g}" for place in places])
    figure.legend(loc="outside lower center", fontsize="small", frameon=False)
    return _svg(figure)


def _axes(figure: "Figure", x: str, y: str) -> "Axes":
    axes = figure.subplots()
    axes.set(xlabel=x, ylabel=y)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def _svg(figure: "Figure") -> str:
    """The figure as an element for a page: without XML's prologue, text as text."""
    import matplotlib

    text = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "vavl-bench"}):
        figure.savefig(text, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    return text.getvalue()[text.getvalue().index("<svg") :]

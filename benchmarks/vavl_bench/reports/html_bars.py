"""The bars of the HTML page, as plain boxes that need no library: percentiles of latency, and stages of a clip."""

from collections.abc import Iterator, Sequence
from html import escape

from vavl_bench.reports.colours import COLOURS
from vavl_bench.reports.html_tables import detail
from vavl_bench.schema import Budget, Latency, Measurement
from vavl_runtime.stage_profile import grouped


def percentile_bars(measurements: Sequence[Measurement]) -> str:
    """Three bars for each measurement, all on one scale.

    Args:
        measurements: Of one subject and scenario; a failed one has no bars.
    """
    found = [(m, m.metrics.latency) for m in measurements if m.metrics is not None]
    longest = max(latency.p99_ms for _, latency in found) or 1.0
    return "".join(
        f'<div class="bars"><div><span class="swatch" style="background:{COLOURS[number % len(COLOURS)]}"></span>'
        f"{escape(detail(measurement))}</div>{_three(latency, longest, COLOURS[number % len(COLOURS)])}</div>"
        for number, (measurement, latency) in enumerate(found)
    )


def _three(latency: Latency, longest: float, colour: str) -> str:
    values = (("p50", latency.p50_ms, 1.0), ("p95", latency.p95_ms, 0.7), ("p99", latency.p99_ms, 0.45))
    return "".join(
        f'<div class="bar"><span>{name}</span>{_track(0.0, value / longest, colour, opacity)}'
        f'<span class="number">{_milliseconds(value)}</span></div>'
        for name, value, opacity in values
    )


def stage_rows(budget: Budget) -> Iterator[str]:
    """A waterfall: each stage begins where the one before it on the same thread ends.

    Args:
        budget: Mean stages of a clip by thread, milliseconds.

    Yields:
        A row for each stage, a heading for each further thread, and a row for the wall time.
    """
    total = budget.total_ms or 1.0
    # Threads do not wait for each other in this picture, so a busy one may seem to outlast the clip.
    scale = max(total, *(sum(stages.values()) for stages in budget.busy_ms.values()))
    for number, (thread, stages) in enumerate(budget.busy_ms.items()):
        if number:
            yield f'<div class="thread">at the same time, thread “{escape(thread)}”:</div>'
        start = 0.0
        for title, length in grouped(stages).items():
            bar = _track(start / scale, length / scale, COLOURS[number % len(COLOURS)])
            yield _stage(title, bar, f"{_milliseconds(length)}, {length / total:.0%}")
            start += length
    yield _stage("wall time", _track(0.0, total / scale, "#59636e"), _milliseconds(total), " total")


def _stage(title: str, track: str, value: str, kind: str = "") -> str:
    return f'<div class="stage{kind}"><span>{escape(title)}</span>{track}<span class="number">{value}</span></div>'


def _track(start: float, length: float, colour: str, opacity: float = 1.0) -> str:
    style = f"left:{100 * start:.2f}%;width:{100 * length:.2f}%;background:{colour};opacity:{opacity:g}"
    return f'<span class="track"><i style="{style}"></i></span>'


def _milliseconds(value: float) -> str:
    return f"{value:.2f} ms" if value < 10 else f"{value:.1f} ms" if value < 1000 else f"{value:.0f} ms"

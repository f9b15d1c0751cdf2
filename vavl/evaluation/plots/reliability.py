"""Reliability diagrams: accuracy against confidence, with the uncertainty that few clips leave."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import binomtest

from vavl.evaluation.calibration import ReliabilityBin
from vavl.evaluation.plots.figures import BLUE, GREY, VERMILION, new_figures, save_png

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COVERAGE = 0.95
# Name, colour, marker, line style, and on which side of a bin's middle its bar of clips stands.
CURVES = (("as predicted", VERMILION, "s", "--", -1), ("temperature-scaled", BLUE, "o", "-", 1))


def plot_reliability(before: Sequence[ReliabilityBin], after: Sequence[ReliabilityBin], title: str, file: Path) -> None:
    """Draw accuracy against confidence, before and after temperature scaling, and the number of clips in each bin.

    Error bars are 95 % Wilson intervals of the accuracy, which take the clips of a bin as independent.

    Args:
        before: Bins of the probabilities as predicted (see `vavl.evaluation.calibration.reliability`).
        after: The same number of bins, after temperature scaling.
        title: Title of the plot.
        file: PNG file to write.

    Raises:
        OutputError: The file cannot be written.
    """
    figure, (top, bottom) = new_figures(5.6, 6.6, rows=2, sharex=True, height_ratios=[3, 1])
    top.plot([0, 1], [0, 1], color=GREY, linewidth=1, label="perfectly calibrated")
    for bins, (name, color, marker, line, side) in zip((before, after), CURVES, strict=True):
        _draw_curve(top, bins, label=name, color=color, marker=marker, linestyle=line)
        width = 0.4 / len(bins)
        middles = (np.arange(len(bins)) + 0.5) / len(bins) + side * width / 2
        bottom.bar(middles, [entry.clips for entry in bins], width=width, color=color)
    top.set(ylabel=f"accuracy, with {COVERAGE:.0%} intervals", xlim=(0, 1), ylim=(0, 1), title=title)
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    bottom.set(xlabel="confidence (largest probability)", ylabel="clips")
    save_png(figure, file)


def accuracy_interval(entry: ReliabilityBin) -> tuple[float, float] | None:
    """The 95 % Wilson interval of a bin's accuracy; None for a bin without clips.

    Example:
        >>> low, high = accuracy_interval(ReliabilityBin(clips=10, confidence=0.8, accuracy=0.8))
        >>> round(low, 2), round(high, 2)
        (0.49, 0.94)
    """
    if entry.accuracy is None:
        return None
    interval = binomtest(round(entry.accuracy * entry.clips), entry.clips).proportion_ci(COVERAGE, method="wilson")
    return float(interval.low), float(interval.high)


def pool_bins(partitions: Sequence[Sequence[ReliabilityBin]]) -> tuple[ReliabilityBin, ...]:
    """Combine the bins of several test sets: each bin then counts the clips of all of them.

    Args:
        partitions: The bins of each test set, equally many.

    Returns:
        As many bins, with means over all clips.
    """
    pooled = []
    for entries in zip(*partitions, strict=True):
        clips = sum(entry.clips for entry in entries)
        means = {
            name: sum(entry.clips * (getattr(entry, name) or 0.0) for entry in entries) / clips if clips else None
            for name in ("confidence", "accuracy")
        }
        pooled.append(ReliabilityBin(clips=clips, **means))
    return tuple(pooled)


def _draw_curve(
    axes: "Axes", bins: Sequence[ReliabilityBin], *, label: str, color: str, marker: str, linestyle: str
) -> None:
    points = [
        (entry.confidence, entry.accuracy, interval)
        for entry in bins
        if entry.confidence is not None and entry.accuracy is not None and (interval := accuracy_interval(entry))
    ]
    confidence, accuracy = [point[0] for point in points], [point[1] for point in points]
    # Rounding may put an end of the interval on the wrong side of an accuracy of 0 or 1, by 1e-17.
    below = [max(0.0, value - low) for _, value, (low, _) in points]
    above = [max(0.0, high - value) for _, value, (_, high) in points]
    axes.errorbar(confidence, accuracy, (below, above), fmt="none", ecolor=color, alpha=0.5, capsize=3, elinewidth=1.2)
    axes.plot(confidence, accuracy, color=color, linestyle=linestyle, linewidth=0.8, alpha=0.6)
    axes.plot(confidence, accuracy, color=color, marker=marker, linestyle="", label=label, clip_on=False)

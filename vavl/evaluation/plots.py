"""Plots as PNG files: confusion matrices, reliability, training curves, embedding distances.

Colours are Okabe and Ito's, which colour-blind people can tell apart; markers and line styles differ as well.
Matplotlib is imported when the first plot is drawn, and never its global state.
"""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from vavl.evaluation.calibration import ReliabilityBin
from vavl.evaluation.comparison import ComparisonResults
from vavl.evaluation.markdown import PATH_TITLES
from vavl.evaluation.metrics import metric_title
from vavl.evaluation.report import EvaluationReport
from vavl.evaluation.statistics import mean_and_deviation
from vavl_runtime.errors import InputError
from vavl_runtime.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 150
BLUE, VERMILION, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#999999"
STYLES = {"audio_visual": (BLUE, "o", "-"), "audio": (VERMILION, "s", "--"), "visual": (GREEN, "^", ":")}


def plot_report(report: EvaluationReport, folder: Path) -> tuple[Path, ...]:
    """Draw a confusion matrix and a reliability diagram for each path; nothing for attributes.

    Args:
        report: The evaluation.
        folder: Where ``confusion_<path>.png`` and ``reliability_<path>.png`` go.

    Returns:
        The files.

    Raises:
        OutputError: The folder cannot be written.
    """
    files = []
    for path in report.summary:
        confusion = report.confusion(path)
        if confusion is None:
            continue
        title = f"{report.corpus}, {PATH_TITLES[path]}, {len(report.partitions)} test sets"
        files.append(folder / f"confusion_{path}.png")
        plot_confusion(confusion, report.labels, title, files[-1])
        calibrations = [p.paths[path].calibration for p in report.partitions if path in p.paths]
        before, after = (
            _pooled([getattr(calibration, name) for calibration in calibrations]) for name in ("before", "after")
        )
        files.append(folder / f"reliability_{path}.png")
        plot_reliability(before, after, title, files[-1])
    return tuple(files)


def plot_confusion(confusion: ArrayLike, labels: Sequence[str], title: str, file: Path) -> None:
    """Draw a confusion matrix, coloured by the share of each true class and annotated with counts.

    Args:
        confusion: Clips by true class (row) and predicted class (column), (C, C).
        labels: Class names, C of them.
        title: Title of the plot.
        file: Where the PNG goes.

    Raises:
        InputError: The matrix is not (C, C).
        OutputError: The place cannot be written.
    """
    counts = np.asarray(confusion)
    if counts.shape != (len(labels), len(labels)):
        raise InputError(f"confusion matrix: got shape {counts.shape} for {len(labels)} labels, expected one row each")
    totals = counts.sum(axis=1, keepdims=True)
    shares = counts / np.maximum(totals, 1)
    side = 2.6 + 0.75 * len(labels)
    figure, axes = _figure(side + 1.4, side)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row in range(len(labels)):
        for column in range(len(labels)):
            share = shares[row, column]
            axes.text(
                column,
                row,
                f"{share:.0%}\n{counts[row, column]}",
                ha="center",
                va="center",
                color="white" if share > 0.65 else "black",
                fontsize=9,
            )
    axes.set_xticks(range(len(labels)), labels, rotation=30, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(labels)), [f"{label} ({n})" for label, n in zip(labels, totals[:, 0], strict=True)])
    axes.set(xlabel="predicted class", ylabel="true class (clips)", title=title)
    figure.colorbar(image, ax=axes, label="share of the true class")
    _save(figure, file)


def plot_reliability(before: Sequence[ReliabilityBin], after: Sequence[ReliabilityBin], title: str, file: Path) -> None:
    """Draw accuracy over confidence, before and after temperature scaling, and how many clips stand behind it.

    Args:
        before: Slices of (0, 1] (see `vavl.evaluation.calibration.reliability`).
        after: The same number of slices.
        title: Title of the plot.
        file: Where the PNG goes.

    Raises:
        OutputError: The place cannot be written.
    """
    figure, (top, bottom) = _figures(5.6, 6.6, rows=2, sharex=True, height_ratios=[3, 1])
    top.plot([0, 1], [0, 1], color=GREY, linewidth=1, label="perfectly calibrated")
    for bins, name, color, marker, line, shift in (
        (before, "as predicted", VERMILION, "s", "--", -1),
        (after, "temperature-scaled", BLUE, "o", "-", 1),
    ):
        confidence = [np.nan if entry.confidence is None else entry.confidence for entry in bins]
        accuracy = [np.nan if entry.accuracy is None else entry.accuracy for entry in bins]
        top.plot(confidence, accuracy, color=color, marker=marker, linestyle=line, label=name, clip_on=False)
        width = 0.4 / len(bins)
        middles = (np.arange(len(bins)) + 0.5) / len(bins) + shift * width / 2
        bottom.bar(middles, [entry.clips for entry in bins], width=width, color=color)
    top.set(ylabel="accuracy", xlim=(0, 1), ylim=(0, 1), title=title)
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    bottom.set(xlabel="confidence (largest probability)", ylabel="clips")
    _save(figure, file)


def plot_training(epochs: Sequence[Mapping[str, float]], title: str, file: Path) -> None:
    """Draw training curves: the training losses, and each figure of the development set by path.

    Args:
        epochs: One record an epoch: ``epoch``, ``train/<step>`` losses and ``development/<path>/<figure>``; an epoch
            may lack a key, such as the loss of a step that had no clips.
        title: Title of the plot.
        file: Where the PNG goes.

    Raises:
        InputError: No epochs, or a record without ``epoch``, or nothing to draw.
        OutputError: The place cannot be written.
    """
    if not epochs or any("epoch" not in record for record in epochs):
        raise InputError(f"training curves: got {len(epochs)} records, expected at least one, each with an epoch")
    from matplotlib.ticker import MaxNLocator

    panels: dict[str, dict[str, str]] = {}
    for key in (key for record in epochs for key in record):
        split, *rest = key.split("/")
        if split == "train" and len(rest) == 1:
            panels.setdefault("training loss", {})[rest[0]] = key
        elif split == "development" and len(rest) == 2:
            panels.setdefault(f"development {metric_title(rest[1])}", {})[rest[0]] = key
    if not panels:
        raise InputError("training curves: no train/<step> or development/<path>/<figure> in the records")
    columns = min(len(panels), 3)
    rows = -(-len(panels) // columns)
    figure, all_axes = _figures(4.2 * columns, 0.4 + 3.2 * rows, rows, columns)
    for axes in all_axes[len(panels) :]:
        axes.set_axis_off()
    for axes, (name, curves) in zip(all_axes, panels.items(), strict=False):
        for curve in [*(known for known in STYLES if known in curves), *sorted(set(curves) - set(STYLES))]:
            points = [(record["epoch"], record[curves[curve]]) for record in epochs if curves[curve] in record]
            color, marker, line = STYLES.get(curve, (GREY, "d", "-."))
            label = curve.replace("audio_visual", "audio-visual")
            axes.plot(*zip(*points, strict=True), color=color, marker=marker, markersize=4, linestyle=line, label=label)
        axes.set(xlabel="epoch", ylabel=name)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    figure.suptitle(title)
    _save(figure, file)


def plot_cosine_distances(results: ComparisonResults, file: Path) -> None:
    """Draw the paper's Figure 2: how far apart the shared layers keep sound and picture.

    Args:
        results: With at least one system that has shared embeddings.
        file: Where the PNG goes.

    Raises:
        InputError: No system has any.
        OutputError: The place cannot be written.
    """
    samples = {system.name: system.cosine_distances() for system in results.systems}
    spreads = {name: mean_and_deviation(sample) for name, sample in samples.items() if sample is not None}
    if not spreads:
        raise InputError("cosine distances: no system in the results has shared embeddings")
    figure, axes = _figure(2.0 + 1.2 * len(spreads), 3.8)
    means = [mean for mean, _ in spreads.values()]
    deviations = [deviation or 0.0 for _, deviation in spreads.values()]
    bars = axes.bar(list(spreads), means, yerr=deviations, capsize=4, width=0.6, color=BLUE)
    axes.bar_label(bars, fmt="%.3f", padding=3)
    axes.margins(y=0.12)
    axes.set(
        ylabel="average cosine distance, ± deviation", title=f"{results.corpus}: shared acoustic and visual embeddings"
    )
    _save(figure, file)


def _pooled(partitions: Sequence[Sequence[ReliabilityBin]]) -> tuple[ReliabilityBin, ...]:
    pooled = []
    for entries in zip(*partitions, strict=True):
        clips = sum(entry.clips for entry in entries)
        means = {
            name: sum(entry.clips * (getattr(entry, name) or 0.0) for entry in entries) / clips if clips else None
            for name in ("confidence", "accuracy")
        }
        pooled.append(ReliabilityBin(clips=clips, **means))
    return tuple(pooled)


def _figure(width: float, height: float) -> "tuple[Figure, Axes]":
    figure, (axes,) = _figures(width, height)
    return figure, axes


def _figures(
    width: float, height: float, rows: int = 1, columns: int = 1, **options: Any
) -> "tuple[Figure, list[Axes]]":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")  # without pyplot: no global state, always Agg
    axes = figure.subplots(rows, columns, squeeze=False, **options)
    for each in axes.flat:
        each.spines[["top", "right"]].set_visible(False)
    return figure, list(axes.flat)


def _save(figure: "Figure", file: Path) -> None:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI)
    write_atomically(file, buffer.getvalue())

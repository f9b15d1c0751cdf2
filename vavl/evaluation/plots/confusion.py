"""Confusion matrices."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from vavl.evaluation.plots.figures import new_figure, save_png
from vavl_runtime.errors import InputError


def plot_confusion(confusion: ArrayLike, labels: Sequence[str], title: str, file: Path) -> None:
    """Draw a confusion matrix: colour is the share of the true class, text the share and the number of clips.

    Args:
        confusion: Number of clips by true class (row) and predicted class (column), (C, C).
        labels: Class names, C of them.
        title: Title of the plot.
        file: PNG file to write.

    Raises:
        InputError: The matrix is not (C, C).
        OutputError: The file cannot be written.
    """
    counts = np.asarray(confusion)
    if counts.shape != (len(labels), len(labels)):
        raise InputError(
            f"confusion matrix: got shape {counts.shape} for {len(labels)} labels, expected one row per label"
        )
    totals = counts.sum(axis=1, keepdims=True)
    shares = counts / np.maximum(totals, 1)
    side = 2.6 + 0.75 * len(labels)
    figure, axes = new_figure(side + 2.2, side)  # room for labels and the colour bar
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), share in np.ndenumerate(shares):
        text = f"{share:.0%}\n{counts[row, column]}"
        color = "white" if share > 0.65 else "black"
        axes.text(column, row, text, ha="center", va="center", color=color, fontsize=9)
    axes.set_xticks(range(len(labels)), labels, rotation=30, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(labels)), [f"{label} ({n})" for label, n in zip(labels, totals[:, 0], strict=True)])
    axes.set(xlabel="predicted class", ylabel="true class (clips)", title=title)
    figure.colorbar(image, ax=axes, label="share of the true class")
    save_png(figure, file)

"""Colours, new figures and PNG files, shared by all plots."""

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vavl_runtime.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 150
# Okabe and Ito's colours, which colour-blind people can tell apart; markers and line styles differ as well.
BLUE, VERMILION, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#999999"
STYLES = {"audio_visual": (BLUE, "o", "-"), "audio": (VERMILION, "s", "--"), "visual": (GREEN, "^", ":")}
OTHER_STYLE = (GREY, "d", "-.")


def new_figure(width: float, height: float) -> "tuple[Figure, Axes]":
    """A figure with one pair of axes; sizes in inches."""
    figure, (axes,) = new_figures(width, height)
    return figure, axes


def new_figures(
    width: float, height: float, rows: int = 1, columns: int = 1, **options: Any
) -> "tuple[Figure, list[Axes]]":
    """A figure with a grid of axes, row by row.

    Args:
        width: Width of the figure in inches.
        height: Height of the figure in inches.
        rows: Rows of axes.
        columns: Columns of axes.
        **options: For ``Figure.subplots``.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")  # not pyplot: no global state, no display needed
    axes = figure.subplots(rows, columns, squeeze=False, **options)
    for each in axes.flat:
        each.spines[["top", "right"]].set_visible(False)
    return figure, list(axes.flat)


def save_png(figure: "Figure", file: Path) -> None:
    """Write a figure as PNG.

    Raises:
        OutputError: The file cannot be written.
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI)
    write_atomically(file, buffer.getvalue())

"""Training curves."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vavl.evaluation.metrics import metric_title
from vavl.evaluation.plots.figures import OTHER_STYLE, STYLES, new_figures, save_png
from vavl_runtime.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = 3
Records = Sequence[Mapping[str, float]]
Panels = dict[str, dict[str, str]]  # title of a panel -> name of a curve -> key in the records


def plot_training(epochs: Records, title: str, file: Path) -> None:
    """Draw training curves: each training loss on axes of its own, then each score of the development set by path.

    Losses have axes of their own because their scales differ: some include reconstruction, others do not.

    Args:
        epochs: One record per epoch, with the keys ``epoch``, ``train/<step>`` for losses and
            ``development/<path>/<score>``. An epoch may lack a key, such as the loss of a step that no clip allowed.
        title: Title of the plot.
        file: PNG file to write.

    Raises:
        InputError: There are no epochs, a record lacks ``epoch``, or there is nothing to draw.
        OutputError: The file cannot be written.
    """
    if not epochs or any("epoch" not in record for record in epochs):
        raise InputError(f"training curves: got {len(epochs)} records, expected at least one, each with an epoch")
    losses, scores = _panels(epochs)
    if not losses and not scores:
        raise InputError("training curves: no train/<step> or development/<path>/<score> in the records")
    rows = [group for panels in (losses, scores) for group in _rows(panels)]
    columns = max(map(len, rows))
    figure, axes = new_figures(4.2 * columns, 0.4 + 3.2 * len(rows), len(rows), columns)
    for row, group in enumerate(rows):
        cells = axes[row * columns : (row + 1) * columns]
        for cell in cells[len(group) :]:
            cell.set_axis_off()
        for cell, (name, curves) in zip(cells, group, strict=False):
            _draw_panel(cell, epochs, name, curves)
    figure.suptitle(title)
    save_png(figure, file)


def _panels(epochs: Records) -> tuple[Panels, Panels]:
    """The panels of losses, one for each, and of scores, one for each with a curve per path."""
    losses: Panels = {}
    scores: Panels = {}
    for key in dict.fromkeys(key for record in epochs for key in record):
        split, *rest = key.split("/")
        if split == "train" and len(rest) == 1:
            losses[f"training loss, {_plain(rest[0])}"] = {rest[0]: key}
        elif split == "development" and len(rest) == 2:
            scores.setdefault(f"development {metric_title(rest[1])}", {})[rest[0]] = key
    return losses, scores


def _rows(panels: Panels) -> list[list[tuple[str, dict[str, str]]]]:
    listed = list(panels.items())
    return [listed[start : start + COLUMNS] for start in range(0, len(listed), COLUMNS)]


def _draw_panel(axes: "Axes", epochs: Records, title: str, curves: Mapping[str, str]) -> None:
    from matplotlib.ticker import MaxNLocator

    for curve in [*(known for known in STYLES if known in curves), *sorted(set(curves) - set(STYLES))]:
        points = [(record["epoch"], record[curves[curve]]) for record in epochs if curves[curve] in record]
        color, marker, line = STYLES.get(curve, OTHER_STYLE)
        x, y = zip(*points, strict=True)
        axes.plot(x, y, color=color, marker=marker, linestyle=line, markersize=4, label=_plain(curve))
    axes.set(xlabel="epoch", ylabel=title)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    if len(curves) > 1:
        axes.legend(frameon=False)


def _plain(name: str) -> str:
    return name.replace("audio_visual", "audio-visual")

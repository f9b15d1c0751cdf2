"""Plots: PNG files that show something, drawn without global state; matplotlib waits until it is needed."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.evaluation.made_results import CLASSES, PROVENANCE, made_comparison, made_predictions, system
from vavl.evaluation.calibration import ReliabilityBin, reliability
from vavl.evaluation.plots import (
    plot_confusion,
    plot_cosine_distances,
    plot_reliability,
    plot_report,
    plot_training,
    pool_bins,
    training,
)
from vavl.evaluation.plots import reliability as reliability_plots
from vavl.evaluation.report import build_report
from vavl_runtime.errors import InputError, OutputError

EPOCHS = [
    {"epoch": 0, "train/audio": 2.0, "train/audio_visual": 3.0, "development/audio_visual/macro_f1": 0.2},
    {"epoch": 1, "train/audio": 1.0, "development/audio_visual/macro_f1": 0.3},
    {"epoch": 2, "train/audio": 0.5, "train/audio_visual": 1.0, "development/audio_visual/macro_f1": 0.4},
]


def colours(file: Path) -> np.ndarray:
    """The colour of every pixel as one number: rows and columns."""
    with Image.open(file) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGBA")).view(np.uint32)[..., 0]


def assert_drawn(file: Path) -> None:
    image = colours(file)
    assert min(image.shape) > 300
    assert len(np.unique(image)) > 20


def test_a_report_has_two_plots_a_path(tmp_path: Path) -> None:
    files = plot_report(build_report(made_predictions(), PROVENANCE), tmp_path / "plots")
    names = {
        f"{kind}_{path}.png" for kind in ("confusion", "reliability") for path in ("audio_visual", "audio", "visual")
    }
    assert {file.name for file in files} == names == {file.name for file in (tmp_path / "plots").iterdir()}
    for file in files:
        assert_drawn(file)


def test_attributes_have_no_confusion(tmp_path: Path) -> None:
    assert plot_report(build_report(made_predictions("regression"), PROVENANCE), tmp_path) == ()


def cell_colours(file: Path) -> set[int]:
    """Colours of large areas: not of text, nor of the colour bar's gradient."""
    found, counts = np.unique(colours(file), return_counts=True)
    return set(found[counts > 2000].tolist())


def test_confusion_is_coloured_by_the_share_of_its_row(tmp_path: Path) -> None:
    counts = np.array([[8, 1, 1], [2, 6, 2], [0, 1, 9]])
    cells = []
    for name, matrix in (("one", counts), ("larger row", counts * [[100], [1], [1]]), ("other", counts + 1)):
        plot_confusion(matrix, CLASSES, "made", tmp_path / f"{name}.png")
        cells.append(cell_colours(tmp_path / f"{name}.png"))
    assert cells[0] == cells[1] != cells[2]
    assert len(cells[0]) >= len({0.0, 0.1, 0.2, 0.6, 0.8, 0.9})


def test_a_class_without_clips_can_be_drawn(tmp_path: Path) -> None:
    plot_confusion([[0, 0], [1, 3]], ("absent", "there"), "made", tmp_path / "absent.png")
    assert_drawn(tmp_path / "absent.png")


def test_training_curves_allow_gaps(tmp_path: Path) -> None:
    for count in (1, 3):
        plot_training(EPOCHS[:count], "made", tmp_path / f"{count}.png")
        assert_drawn(tmp_path / f"{count}.png")
    many = [{"epoch": 0, **{f"development/audio/figure{index}": 0.1 for index in range(7)}}]
    plot_training(many, "made", tmp_path / "many.png")
    assert colours(tmp_path / "many.png").shape[0] > 1.4 * colours(tmp_path / "3.png").shape[0]  # 3 rows instead of 2


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The figures that are drawn, instead of files."""
    figures: list[Any] = []
    for module in (training, reliability_plots):
        monkeypatch.setattr(module, "save_png", lambda figure, _: figures.append(figure))
    return figures


def test_every_loss_has_axes_of_its_own_and_scores_share_theirs(tmp_path: Path, drawn: list[Any]) -> None:
    scores = {"development/audio/score": 0.5, "development/mean/score": 0.5, "development/audio_visual/score": 0.4}
    plot_training([{**record, **scores} for record in EPOCHS], "made", tmp_path / "curves.png")
    curves = {axes.get_ylabel(): len(axes.lines) for axes in drawn[0].axes if axes.get_ylabel()}
    assert curves == {
        "training loss, audio": 1,
        "training loss, audio-visual": 1,
        "development macro F1": 1,
        "development score": 3,
    }


def wilson(accuracy: float, clips: int) -> list[float]:
    """The interval as a textbook has it."""
    z = 1.959963984540054
    middle = accuracy + z**2 / (2 * clips)
    half = z * np.sqrt(accuracy * (1 - accuracy) / clips + z**2 / (4 * clips**2))
    return [float(value) / (1 + z**2 / clips) for value in (middle - half, middle + half)]


def test_error_bars_are_the_intervals_of_each_accuracy(tmp_path: Path, drawn: list[Any]) -> None:
    """Bins without clips have none; the same accuracy of fewer clips is less certain."""
    bins = [
        ReliabilityBin(clips=4, confidence=0.3, accuracy=0.5),
        ReliabilityBin(clips=0, confidence=None, accuracy=None),
        ReliabilityBin(clips=40, confidence=0.6, accuracy=0.5),
        ReliabilityBin(clips=7, confidence=0.9, accuracy=1.0),
    ]
    plot_reliability(bins, bins, "made", tmp_path / "reliability.png")
    top = drawn[0].axes[0]
    (before, _) = (bars for _, _, (bars,) in top.containers)
    spans = [segment[:, 1].tolist() for segment in before.get_segments()]
    np.testing.assert_allclose(spans, [wilson(0.5, 4), wilson(0.5, 40), wilson(1.0, 7)], atol=1e-9)
    assert [segment[0, 0] for segment in before.get_segments()] == [0.3, 0.6, 0.9]


def test_pooled_bins_are_those_of_all_clips_together() -> None:
    generator = np.random.default_rng(0)
    probabilities, target = generator.dirichlet(np.ones(3), 40), np.eye(3)[generator.integers(0, 3, 40)]
    parts = [reliability(probabilities[part], target[part]) for part in (slice(0, 15), slice(15, 40))]
    for pooled, whole in zip(pool_bins(parts), reliability(probabilities, target), strict=True):
        assert pooled.clips == whole.clips
        assert pooled.accuracy == pytest.approx(whole.accuracy) and pooled.confidence == pytest.approx(whole.confidence)


def test_distances_of_the_systems_that_have_them(tmp_path: Path) -> None:
    plot_cosine_distances(made_comparison(), tmp_path / "distances.png")
    assert_drawn(tmp_path / "distances.png")
    without = made_comparison(systems=(system("VAVL", "vavl", {"audio": [0.5]}),))
    with pytest.raises(InputError, match="no system in the results"):
        plot_cosine_distances(without, tmp_path / "none.png")


@pytest.mark.parametrize(
    ("epochs", "message"),
    [
        ([], "got 0 records"),
        ([{"train/audio": 1.0}], "each with an epoch"),
        ([{"epoch": 0, "seconds": 3.0}], "no train/<step>"),
    ],
)
def test_curves_of_nothing_are_refused(tmp_path: Path, epochs: list[dict[str, float]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        plot_training(epochs, "made", tmp_path / "none.png")


def test_confusion_needs_a_row_a_label(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"got shape \(2, 2\) for 3 labels"):
        plot_confusion([[1, 0], [0, 1]], CLASSES, "made", tmp_path / "none.png")


def test_a_place_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="cannot be written"):
        plot_training(EPOCHS, "made", tmp_path / "file" / "curves.png")


def test_neither_matplotlib_nor_torch_is_imported_early() -> None:
    modules = "vavl.evaluation.plots, vavl.evaluation.comparison_page, vavl.evaluation.report_page"
    code = f"import sys, {modules}; print({{'matplotlib', 'torch'}} & {{*sys.modules}})"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"

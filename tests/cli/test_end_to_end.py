"""From feature files to tables and plots: features, fit, evaluate and compare on a made corpus."""

import json
import math
from pathlib import Path

import pytest

from tests.cli.commands import TINY, assert_plot, succeed
from tests.cli.made_corpus import CLIPS, DEFAULT, LABELS, SPEAKERS, fill_cache, write_corpus
from vavl.checkpoint import load_checkpoint
from vavl.evaluation.comparison import ComparisonResults
from vavl.evaluation.report import EvaluationReport

EPOCHS = 8
LEARNS = ("--preset", "light", "--epochs", EPOCHS, "--batch-size", 4, "--learning-rate", 3e-3, "--selection", "last")
EAGER = {"visual_dynamics": "off", "visual_pool": 1, "dropout": 0.0, "head_dropout": 0.0, "width": 32}
PATHS = ("audio_visual", "audio", "visual")
SYSTEMS = {
    "VAVL": "vavl",
    "UAVM": "baseline",
    "AuxFormer": "baseline",
    "MulT": "baseline",
    "Unimodal (A)/(V)": "baseline",
    "Ablation 1: no residual": "ablation",
    "Ablation 2: no reconstruction": "ablation",
    "Ablation 3: no audio-visual layer": "ablation",
}


@pytest.mark.slow
def test_feature_files_to_a_report(tmp_path: Path) -> None:
    """The light encoders only say how wide the cache is: the corpus brings its features along."""
    manifest, cache = write_corpus(tmp_path / "corpus", DEFAULT), tmp_path / "cache"
    features = ("features", "manifest", manifest, "-o", cache, "--workers", 1)
    assert f"{CLIPS} clips extracted, 0 already cached, 0 unreadable" in succeed(*features).stdout
    assert f"0 clips extracted, {CLIPS} already cached, 0 unreadable" in succeed(*features).stdout
    (tmp_path / "model.json").write_text(json.dumps(EAGER), "utf-8")
    runs = [tmp_path / f"run{number}" for number in (1, 2)]
    for number, run in enumerate(runs, 1):
        common = ("--features", cache, "--partition", number, *LEARNS, "--model", tmp_path / "model.json")
        assert succeed("fit", "manifest", manifest, *common, "-o", run).stdout == f"{run}\n"
        history = [json.loads(line) for line in (run / "history.jsonl").read_text("utf-8").splitlines()]
        assert [line["epoch"] for line in history] == list(range(EPOCHS))
        assert all(math.isfinite(value) for line in history for value in line.values())
        checkpoint = load_checkpoint(run / "checkpoint")
        assert checkpoint.description.token_rate == 29.97
        model = checkpoint.model
        assert (model.config.audio_dim, model.config.visual_dim, model.config.labels) == (*DEFAULT.values(), LABELS)
        assert model.config.width == EAGER["width"]
    out = tmp_path / "report"
    page = succeed("evaluate", *runs, "-o", out).stdout
    assert (out / "report.md").read_text("utf-8") == page.removesuffix("\n")
    report = EvaluationReport.read(out / "report.json")
    assert (report.corpus, report.labels, len(report.partitions)) == ("made", LABELS, 2)
    for path in PATHS:
        # The class is plain in every feature, so whoever learned anything knows it of people it has never met.
        assert report.summary[path]["macro_f1"].mean == 1.0
        assert_plot(out / f"confusion_{path}.png")
        assert_plot(out / f"reliability_{path}.png")
    for partition in report.partitions:
        speakers = partition.speakers
        assert sorted((*speakers.train, *speakers.development, *speakers.test)) == list(SPEAKERS)
    for run in runs:
        assert_plot(out / f"training_{run.name}.png")


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> tuple[object, ...]:
    """The arguments of a comparison that has been made; the last one is its folder."""
    place = tmp_path_factory.mktemp("comparison")
    manifest = write_corpus(place / "corpus", partitions=2)
    cache = fill_cache(place / "cache", manifest)
    options = ("--features", cache, *TINY, "--uavm-width", 16)
    arguments = ("compare", "manifest", manifest, *options, "-o", place / "out")
    succeed(*arguments)
    return arguments


def test_comparison_of_every_system(comparison: tuple[object, ...]) -> None:
    place = Path(str(comparison[-1]))
    results = ComparisonResults.read(place / "results.json")
    assert {system.name: system.role for system in results.systems} == SYSTEMS
    for system in results.systems:
        assert [(run.partition, run.seed) for run in system.runs] == [("1", 0), ("2", 0)]
        assert all(
            0.0 <= value <= 1.0 for run in system.runs for path in run.metrics.values() for value in path.values()
        )
    for folder in sorted((place / "runs").glob("*/*")):
        (line,) = map(json.loads, (folder / "history.jsonl").read_text("utf-8").splitlines())
        assert all(math.isfinite(value) for value in line.values())
        assert any(key.startswith("train/") for key in line)
    assert len(list((place / "runs").glob("*/*/best.pt"))) == 2 * len(SYSTEMS)
    assert_plot(place / "figure2.png")


def test_comparison_is_a_page_with_both_tables_and_all_choices(comparison: tuple[object, ...]) -> None:
    page = (Path(str(comparison[-1])) / "results.md").read_text("utf-8")
    for name in SYSTEMS:
        assert f"| {name} |" in page
    for title in ("(Table 1)", "(Table 2)", "(Figure 2)", "## Choices"):
        assert title in page
    assert "UAVM, pooling segments:" in page  # a choice with its value


@pytest.mark.slow
def test_finished_comparison_is_not_trained_again(comparison: tuple[object, ...]) -> None:
    place = Path(str(comparison[-1]))
    before = ComparisonResults.read(place / "results.json")
    written = {file: file.stat().st_mtime_ns for file in (place / "runs").glob("*/*/state.pt")}
    succeed(*comparison)
    assert {file: file.stat().st_mtime_ns for file in (place / "runs").glob("*/*/state.pt")} == written
    assert ComparisonResults.read(place / "results.json").systems == before.systems

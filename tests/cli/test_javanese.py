"""The whole way on a real corpus: every system trains, with sound alone where the corpus has no picture."""

import json
import math
from pathlib import Path

import pytest

from tests.cli.commands import assert_plot, succeed
from vavl.corpora import open_corpus
from vavl.evaluation.comparison import ComparisonResults

pytestmark = pytest.mark.slow
SPEAKERS, SENTENCE, EMOTIONS = 3, "01", 6
PAIRED, HEARD = "01", "02"  # the first repetition is on film, of the others there is sound only
STEPS = {  # of each system, by its folder: the losses that training must have logged
    "vavl": {"audio", "visual", "audio_visual"},
    "ablation-1--no-residual": {"audio", "visual", "audio_visual"},
    "ablation-2--no-reconstruction": {"audio", "visual", "audio_visual"},
    "ablation-3--no-audio-visual-layer": {"audio", "visual"},
    "uavm": {"drawn"},
    "auxformer": {"joint"},
    "mult": {"audio_visual"},
    "unimodal": {"audio", "visual"},
}


@pytest.fixture(scope="module")
def corpus(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One sentence of a few speakers: each emotion once on film and once as sound alone."""
    whole = shared / "corpora" / "javanese"
    if not whole.is_dir():
        pytest.skip("no Javanese corpus among the real media")
    folder = tmp_path_factory.mktemp("javanese")
    names = sorted(path.stem for path in (whole / "video").glob(f"*-{SENTENCE}-*_{PAIRED}.mp4"))
    speakers = sorted({name[:2] for name in names})[:SPEAKERS]
    for kind, suffix, takes in (("video", "mp4", (PAIRED,)), ("audio", "flac", (PAIRED, HEARD))):
        (folder / kind).mkdir()
        for name in names:
            if name[:2] in speakers:
                for take in takes:
                    file = f"{name.removesuffix(PAIRED)}{take}.{suffix}"
                    (folder / kind / file).symlink_to(whole / kind / file)
    return folder


@pytest.fixture(scope="module")
def features(corpus: Path) -> Path:
    """Features by the default encoders, through the command."""
    place = corpus.parent / f"{corpus.name}-features"
    clips = 2 * SPEAKERS * EMOTIONS
    assert (
        f"{clips} clips extracted, 0 already cached, 0 unreadable"
        in succeed("features", "javanese", corpus, "-o", place).stdout
    )
    return place


@pytest.fixture(scope="module")
def comparison(corpus: Path, features: Path) -> Path:
    """Every system, one epoch a partition."""
    place = corpus.parent / f"{corpus.name}-comparison"
    options = ("--preset", "light", "--uavm-width", 64, "--epochs", 1, "--features", features)
    succeed("compare", "javanese", corpus, *options, "-o", place)
    return place


def test_every_system_trains_every_step(comparison: Path) -> None:
    runs = comparison / "runs"
    assert {folder.name for folder in runs.iterdir()} == STEPS.keys()
    for name, steps in STEPS.items():
        folders = sorted((runs / name).iterdir())
        assert len(folders) == 5
        for folder in folders:
            (line,) = map(json.loads, (folder / "history.jsonl").read_text("utf-8").splitlines())
            losses = {key.removeprefix("train/"): value for key, value in line.items() if key.startswith("train/")}
            assert losses.keys() == steps
            assert all(math.isfinite(value) for value in line.values())


def test_every_system_is_in_the_tables(comparison: Path) -> None:
    results = ComparisonResults.read(comparison / "results.json")
    assert len(results.systems) == len(STEPS)
    page = (comparison / "results.md").read_text("utf-8")
    for system in results.systems:
        assert f"| {system.name} | {system.parameters:,} |" in page
        for run in system.runs:
            assert all(0.0 <= value <= 1.0 for metrics in run.metrics.values() for value in metrics.values())
    paths = {system.name: set(system.runs[0].metrics) for system in results.systems}
    assert paths["MulT"] == {"audio_visual"}
    assert paths["Unimodal (A)/(V)"] == {"audio", "visual"}
    assert all(found == {"audio_visual", "audio", "visual"} for found in list(paths.values())[:3])
    assert_plot(comparison / "figure2.png")


def test_tested_speakers_were_never_trained_on(corpus: Path, comparison: Path, tmp_path: Path) -> None:
    runs = sorted((comparison / "runs" / "vavl").iterdir())
    succeed("evaluate", *runs, "-o", tmp_path)
    report = json.loads((tmp_path / "report.json").read_text("utf-8"))
    everyone = set(open_corpus("javanese", corpus).speakers)
    tested = set()
    for partition in report["partitions"]:
        splits = [set(partition["speakers"][split]) for split in ("train", "development", "test")]
        assert sum(map(len, splits)) == len(set.union(*splits)) == SPEAKERS
        assert set.union(*splits) == everyone
        tested |= splits[2]
    assert tested == everyone  # five partitions of three speakers

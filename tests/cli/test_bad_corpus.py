"""Bad corpora: everything wrong is listed with file and row before anything trains, and may be left out."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.cli.commands import TINY, fail, succeed, vavl_train
from tests.cli.made_corpus import CLIPS, DEFAULT, fill_cache, write_corpus
from tests.runtime.made_media import face_pictures, film_of_a_face, tone

# The lines of the problems that `spoilt` makes, and the clips that are left out for them.
PROBLEMS = {
    "manifest.csv:3: ann-calm-0: ": "nowhere.npy: no such file",
    "manifest.csv:4: ann-calm-1: ": "column label: got 'bored', expected one of calm, tense",
    "manifest.csv:6: ann-tense-1: ": "neither sound nor picture",
    "manifest.csv:8: ben-calm-0: ": "id already used at manifest.csv:7",
    "manifest.csv:11: cam-calm-0: ": "1 of 12 values are NaN or infinite",
}
LEFT_OUT = {"ann-calm-0", "ann-calm-1", "ann-tense-1", "ben-calm-0", "ben-calm-1", "cam-calm-0"}


@pytest.fixture
def spoilt(tmp_path: Path) -> tuple[Path, Path]:
    """A corpus in which five things are wrong, and features from when it was sane."""
    manifest = write_corpus(tmp_path / "corpus")
    cache = fill_cache(tmp_path / "cache", manifest)
    lines = manifest.read_text("utf-8").splitlines()
    lines[0] = "# labels: calm, tense"
    lines[2] = lines[2].replace("ann-calm-0-audio.npy", "nowhere.npy")
    lines[3] = lines[3].replace(",calm", ",bored")
    lines[5] = "ann-tense-1,ann,,,tense"
    lines[7] = lines[7].replace("ben-calm-1,", "ben-calm-0,")
    manifest.write_text("\n".join(lines) + "\n", "utf-8")
    features = np.zeros((1, 12), np.float32)
    features[0, 3] = np.nan
    np.save(manifest.parent / "cam-calm-0-audio.npy", features)
    return manifest, cache


def assert_all_listed(stderr: str) -> None:
    lines = [line.strip() for line in stderr.splitlines()]
    for place, message in PROBLEMS.items():
        (line,) = (line for line in lines if line.startswith(place))
        assert message in line


@pytest.mark.parametrize("command", ["features", "fit", "compare", "audio-encoder", "face-encoder"])
def test_every_problem_is_listed_before_anything_is_written(
    command: str, spoilt: tuple[Path, Path], tmp_path: Path
) -> None:
    manifest, cache = spoilt
    options: tuple[object, ...] = ("-o", tmp_path / "out")
    if command in ("fit", "compare"):
        options += ("--features", cache, *TINY)
    elif command != "features":
        options += ("--raw", tmp_path / "raw")
    stderr = fail(3, command, "manifest", manifest, *options)
    assert stderr.startswith(f"error: {manifest}: {len(PROBLEMS)} problems in this corpus (manifest); mend them, or ")
    assert len(stderr.splitlines()) == 1 + len(PROBLEMS) + 1
    assert stderr.splitlines()[-1] == "hint: --skip-bad leaves the bad clips out"
    assert_all_listed(stderr)
    assert {path.name for path in tmp_path.iterdir()} == {"corpus", "cache"}


def test_skip_bad_trains_on_the_rest_and_reports_what_was_left_out(spoilt: tuple[Path, Path], tmp_path: Path) -> None:
    manifest, cache = spoilt
    run = tmp_path / "run"
    done = succeed("fit", "manifest", manifest, "--features", cache, *TINY, "--skip-bad", "-o", run)
    assert_all_listed(done.stderr)
    assert f"left out {len(PROBLEMS)}; {CLIPS - len(LEFT_OUT)} clips remain" in done.stderr
    assert json.loads((run / "settings.json").read_text("utf-8"))["corpus"]["skip_bad"]
    succeed("evaluate", run, "-o", tmp_path / "report")  # the run knows that bad clips were left out


def test_nothing_left_is_an_error_even_with_skip_bad(tmp_path: Path) -> None:
    manifest = write_corpus(tmp_path / "corpus")
    for file in manifest.parent.glob("*.npy"):
        file.unlink()
    options = ("--features", tmp_path / "cache", *TINY, "--skip-bad", "-o", tmp_path / "run")
    assert "all clips are bad, so none would be left" in fail(3, "fit", "manifest", manifest, *options)


def test_clips_without_features(manifest: Path, tmp_path: Path) -> None:
    """They turned out to be unreadable when features were extracted, or extraction was interrupted."""
    cache = fill_cache(tmp_path / "cache", manifest, without=("dan-calm-0", "eve-tense-1"))
    options = ("--features", cache, *TINY, "-o", tmp_path / "run")
    assert "clips have no features yet (" in fail(3, "fit", "manifest", manifest, *options)
    done = succeed("fit", "manifest", manifest, *options, "--skip-bad")
    lines = [line for line in done.stderr.splitlines() if "no features in" in line]
    assert [line.split(": ")[:2] for line in lines] == [
        ["manifest.csv:15", "dan-calm-0"],
        ["manifest.csv:22", "eve-tense-1"],
    ]
    assert f"left out 2; {CLIPS - 2} clips remain" in done.stderr


def test_features_of_another_corpus(cache: Path, tmp_path: Path) -> None:
    manifest = write_corpus(tmp_path / "corpus")
    header, *rows = manifest.read_text("utf-8").splitlines()[1:]
    manifest.write_text("\n".join((header, *(f"other-{row}" for row in rows))) + "\n", "utf-8")
    stderr = fail(3, "fit", "manifest", manifest, "--features", cache, *TINY, "--skip-bad", "-o", tmp_path / "run")
    assert "holds no clip of corpus; run vavl-train features on it" in stderr


@pytest.mark.slow
def test_media_that_break_while_they_are_read(tmp_path: Path) -> None:
    """Media are only opened before; that one is damaged in its middle shows when it is decoded."""
    manifest = write_corpus(tmp_path / "corpus", DEFAULT)
    sane = film_of_a_face(tmp_path / "corpus" / "sane.mkv", face_pictures(30), tone(1.2))
    broken = film_of_a_face(tmp_path / "corpus" / "broken.mkv", [*face_pictures(2), *[b"no picture"] * 40], None)
    with manifest.open("a", encoding="utf-8") as file:
        file.write(f"film-0,ann,{sane.name},{sane.name},calm\nfilm-1,ann,,{broken.name},calm\n")
    arguments = ("features", "manifest", manifest, "-o", tmp_path / "cache", "--workers", 1)
    done = vavl_train(*arguments)
    assert done.exit_code == 3, done.output
    assert f"{CLIPS + 1} clips extracted, 0 already cached, 1 unreadable" in done.stdout
    (line,) = (line for line in done.stderr.splitlines() if "broken.mkv" in line)
    assert line.startswith(f"manifest.csv:{CLIPS + 4}: ")
    assert "or leave them out with --skip-bad" in done.stderr
    again = succeed(*arguments, "--skip-bad")
    assert f"0 clips extracted, {CLIPS + 1} already cached, 1 unreadable" in again.stdout
    fit = ("fit", "manifest", manifest, "--features", tmp_path / "cache", *TINY, "-o", tmp_path / "run")
    assert "film-1" in succeed(*fit, "--skip-bad").stderr

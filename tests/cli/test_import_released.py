"""``vavl-train import-released``: a released folder in, a checkpoint out, or an exit code and a reason."""

from pathlib import Path

import pytest

from tests.cli.commands import fail, succeed
from tests.released.released_folder import released_values, write_folder
from tests.vavl.tiny_released import tiny_config
from vavl.checkpoint import load_checkpoint

ENCODERS = ("--audio-encoder", "final_wav2vec.pt", "--face-encoder", "enet_b2_8.pt")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A released folder for each task."""
    place = tmp_path_factory.mktemp("released")
    return {
        task: write_folder(place / task, released_values(tiny_config(task)))
        for task in ("classification", "regression")
    }


@pytest.mark.parametrize(
    ("task", "options", "flipped"),
    [
        ("classification", (), ()),
        ("regression", ("--arousal-polarity", "upright"), ()),
        ("regression", ("--arousal-polarity", "flipped"), ("arousal",)),
    ],
)
def test_import(
    task: str, options: tuple[str, ...], flipped: tuple[str, ...], folders: dict[str, Path], tmp_path: Path
) -> None:
    out = tmp_path / "checkpoint"
    done = succeed("import-released", folders[task], "--task", task, *ENCODERS, *options, "-o", out)
    assert done.stdout == f"{out}\n"
    config = load_checkpoint(out).model.config
    assert (config.layout, config.task, config.flipped) == ("released", task, flipped)


def test_labels_in_the_order_given(folders: dict[str, Path], tmp_path: Path) -> None:
    labels = ("a", "b", "c", "d", "e", "f")
    options = ("--task", "classification", *ENCODERS, "--labels", ",".join(labels), "-o", tmp_path / "out")
    succeed("import-released", folders["classification"], *options)
    assert load_checkpoint(tmp_path / "out").model.config.labels == labels


@pytest.mark.parametrize(
    ("task", "options", "message"),
    [
        ("ranking", (), "--task 'ranking': expected classification or regression"),
        ("regression", (), "arousal polarity: not given"),
        ("regression", ("--arousal-polarity", "up"), "--arousal-polarity 'up': expected upright or flipped"),
        ("classification", ("--arousal-polarity", "flipped"), "arousal polarity: given for classification"),
        ("classification", ("--labels", "calm,tense"), "got 6 outputs, expected 2 for classification of calm, tense"),
    ],
)
def test_wrong_options_are_exit_code_3(
    task: str, options: tuple[str, ...], message: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    folder = folders.get(task, folders["classification"])
    arguments = ("import-released", folder, "--task", task, *ENCODERS, *options, "-o", tmp_path / "out")
    assert message in fail(3, *arguments)
    assert not (tmp_path / "out").exists()


def test_missing_folder_is_exit_code_3(tmp_path: Path) -> None:
    arguments = ("import-released", tmp_path / "nowhere", "--task", "classification", *ENCODERS, "-o", tmp_path / "out")
    assert "nowhere: no such folder; expected one with the files of a released checkpoint" in fail(3, *arguments)


def test_missing_option_is_exit_code_2(folders: dict[str, Path]) -> None:
    folder = folders["classification"]
    assert "Missing option '--task'" in fail(2, "import-released", folder, *ENCODERS, "-o", "out")

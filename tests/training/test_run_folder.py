"""The run folder: other settings, restarts, damaged files, and a history that TensorBoard repeats."""

import json
from pathlib import Path

import pytest
import torch

from tests.training.small_runs import NOISY, events, run_noisily, small_settings
from vavl.errors import ConfigError
from vavl.training.run_folder import RunFolder, read_history


def test_other_settings_in_the_same_folder_are_refused(tmp_path: Path) -> None:
    before = run_noisily(tmp_path, epochs=1)
    for changes in ({"seed": 1}, {"learning_rate": 0.5, "seed": 1}, {"epochs": 2}):
        named = ", ".join(sorted(changes))
        with pytest.raises(
            ConfigError, match=rf"holds a run with other settings \({named}\); .* restart the run"
        ) as raised:
            run_noisily(tmp_path, **{"epochs": 1, **changes})
        assert raised.value.argument == "restart"
    assert run_noisily(tmp_path, epochs=1) == before


def test_a_restart_forgets_the_earlier_run(tmp_path: Path) -> None:
    run_noisily(tmp_path / "folder", epochs=3, seed=1)
    RunFolder(tmp_path / "folder", small_settings().model_dump(mode="json"), restart=True)
    assert read_history(tmp_path / "folder") == [] and events(tmp_path / "folder") == {}
    settings = small_settings(**{**NOISY, "epochs": 2})
    RunFolder(tmp_path / "folder", settings.model_dump(mode="json"), restart=True)
    assert run_noisily(tmp_path / "folder", epochs=2) == run_noisily(tmp_path / "fresh", epochs=2)
    assert events(tmp_path / "folder") == events(tmp_path / "fresh")


@pytest.mark.parametrize("file", ["state.pt", "best.pt"])
@pytest.mark.parametrize("damage", ["gone", "cut", "text", "pickle"])
def test_damaged_files_of_a_run(tmp_path: Path, file: str, damage: str) -> None:
    run_noisily(tmp_path, epochs=1)
    path = tmp_path / file
    if damage == "gone":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:1000])
    elif damage == "text":
        path.write_text("weights")
    else:
        torch.save(Path("a class that no weights need"), path)
    if (file, damage) == ("state.pt", "gone"):
        run_noisily(tmp_path, epochs=1)  # a fresh run
        return
    with pytest.raises(ConfigError, match=f"{file}: cannot be read .*; restart the run to begin again"):
        run_noisily(tmp_path, epochs=1)


def test_damaged_settings_of_a_run(tmp_path: Path) -> None:
    run_noisily(tmp_path, epochs=1)
    for content in ("{", "[]"):
        (tmp_path / "settings.json").write_text(content)
        with pytest.raises(ConfigError, match="holds a run with other settings .not readable"):
            run_noisily(tmp_path, epochs=1)


# Logs.


def test_history_and_tensorboard_tell_the_same(tmp_path: Path) -> None:
    _, history = run_noisily(tmp_path)
    assert [line["epoch"] for line in history] == [0, 1, 2, 3]
    assert history == [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    shown = events(tmp_path)
    assert shown.keys() == history[0].keys() - {"epoch"}
    assert {"train/audio", "train/visual", "train/audio_visual", "learning_rate"} < shown.keys()
    assert {"development/audio_visual/score", "development/mean/score"} < shown.keys()
    for tag, points in shown.items():
        assert [step for step, _ in points] == [0, 1, 2, 3]
        assert [value for _, value in points] == pytest.approx([line[tag] for line in history], rel=1e-6)


def test_unfinished_files_of_a_killed_run_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / ".state.pt.abcd_123").touch()
    RunFolder(tmp_path, small_settings().model_dump(mode="json"))
    assert [".state.pt.abcd_123: unfinished; remove it" in said for said in caplog.messages] == [True]


def test_settings_that_are_there_are_not_written_again(tmp_path: Path) -> None:
    """Every process of a training opens the folder; what one of them writes would be unfinished to another."""
    settings = small_settings().model_dump(mode="json")
    RunFolder(tmp_path, settings)
    before = (tmp_path / "settings.json").stat()
    RunFolder(tmp_path, settings)
    assert (tmp_path / "settings.json").stat().st_ino == before.st_ino

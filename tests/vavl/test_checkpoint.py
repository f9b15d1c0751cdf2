"""Checkpoints: round trip, and refusal of everything that does not fit."""

import json
from pathlib import Path

import pytest
import torch

from tests.export.exported import tiny_model
from tests.runtime.test_files_killed import killed_at_every_change
from vavl.checkpoint import Checkpoint, CheckpointDescription, load_checkpoint, save_checkpoint
from vavl.errors import ConfigError


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    model = tiny_model()
    description = CheckpointDescription(model=model.config, audio_encoder="light", face_encoder="light", trained=True)
    save_checkpoint(Checkpoint(model, description), tmp_path / "checkpoint")
    return tmp_path / "checkpoint"


def test_round_trip(saved: Path) -> None:
    loaded, model = load_checkpoint(saved), tiny_model()
    assert loaded.description.model == model.config
    for name, value in model.state_dict().items():
        assert torch.equal(value, loaded.model.state_dict()[name]), name
    assert not any("positions" in name for name in loaded.model.state_dict())  # derived tables stay out


def test_nothing_is_pickled(saved: Path) -> None:
    assert sorted(path.name for path in saved.iterdir()) == ["config.json", "model.safetensors"]


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_missing_file_is_named(saved: Path, name: str) -> None:
    (saved / name).unlink()
    with pytest.raises(ConfigError, match=f"no {name}"):
        load_checkpoint(saved)


def test_a_truncated_file_is_refused(saved: Path) -> None:
    weights = saved / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(ConfigError, match="not a readable checkpoint"):
        load_checkpoint(saved)


def test_tensors_that_do_not_fit_are_named(saved: Path) -> None:
    config = json.loads((saved / "config.json").read_text())
    config["model"]["head_hidden"] = [12, 8]
    (saved / "config.json").write_text(json.dumps(config))
    with pytest.raises(ConfigError, match=r"audio\.head\.first\.0\.bias: got \(16,\), expected \(12,\)"):
        load_checkpoint(saved)


@pytest.mark.parametrize(("key", "value"), [("format_version", 2), ("surprise", 1)])
def test_unknown_versions_and_keys_are_refused(saved: Path, key: str, value: int) -> None:
    config = json.loads((saved / "config.json").read_text())
    config[key] = value
    (saved / "config.json").write_text(json.dumps(config))
    with pytest.raises(ConfigError, match=key if key == "surprise" else "format 2, this version reads 1"):
        load_checkpoint(saved)


def test_killed_while_an_older_checkpoint_is_replaced(saved: Path, tmp_path: Path) -> None:
    """Weights and configuration of two checkpoints never lie side by side."""
    old, model = load_checkpoint(saved), tiny_model()
    for value in model.parameters():
        value.data.zero_()
    description = old.description.model_copy(update={"provenance": "new"})
    found = set()
    (tmp_path / "killed").mkdir()
    for folder in killed_at_every_change(
        lambda folder: save_checkpoint(Checkpoint(model, description), folder / "checkpoint"),
        lambda folder: save_checkpoint(old, folder / "checkpoint"),
        tmp_path / "killed",
    ):
        loaded = load_checkpoint(folder / "checkpoint")
        is_new = not any(value.any() for value in loaded.model.parameters())
        assert is_new == (loaded.description.provenance == "new"), folder
        found.add(is_new)
    assert found == {False, True}


def test_what_else_is_in_the_folder_stays(saved: Path) -> None:
    (saved / "encoder.pt").touch()
    save_checkpoint(load_checkpoint(saved), saved)
    assert sorted(path.name for path in saved.iterdir()) == ["config.json", "encoder.pt", "model.safetensors"]

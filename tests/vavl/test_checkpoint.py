"""Checkpoints: round trip, and refusal of everything that does not fit."""

import json
from pathlib import Path

import pytest
import torch

from tests.export.exported import tiny_model
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

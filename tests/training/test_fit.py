"""Training learns, by every path and on unseen clips, and odd losses and settings are handled."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from tests.training.small_runs import build, in_memory, mixed, run_noisily, train
from vavl.config import Task
from vavl.errors import ConfigError
from vavl.systems.vavl import VavlSystem
from vavl.training.dataset import Example, collate
from vavl.training.development import development_scores
from vavl.training.run_folder import read_history
from vavl.training.settings import FitSettings
from vavl.training.trainer import WARM_UP

both_tasks = pytest.mark.parametrize("task", ["classification", "regression"])


# Learning.


@pytest.mark.parametrize("task", ["classification", pytest.param("regression", marks=pytest.mark.slow)])
def test_one_batch_is_learned_by_heart(tmp_path: Path, task: Task) -> None:
    """Every loss goes to near zero, reconstruction included, and every path then answers right."""
    data = in_memory(("both", "two windows", "audio", "visual", "both", "both"), task).features()
    large: dict[str, Any] = {"width": 32, "head_hidden": (48, 32)}
    rate = {"epochs": 80, "batch_size": 8, "learning_rate": 5e-3, "schedule": "cosine"}
    system = train(tmp_path, data, system=lambda: build(task, **large), **rate)
    assert isinstance(system, VavlSystem)
    first, last = (read_history(tmp_path)[at] for at in (0, -1))
    for step in ("audio", "visual", "audio_visual"):
        assert last[f"train/{step}"] < 0.02 < first[f"train/{step}"]
    batch = collate(data.examples)
    with torch.no_grad():
        for modality, sequences in (("audio", batch.audio), ("visual", batch.visual)):
            assert sequences is not None
            output = system.model.unimodal(modality, sequences.features, sequences.lengths)  # type: ignore[arg-type]
            assert output.reconstruction is not None
            assert (output.reconstruction - output.target).square().mean() < 0.05
    scores = development_scores(system, data)
    assert all(scores[f"{path}/score"] > 0.9 for path in system.paths)


def test_learning_is_for_unseen_clips_too(tmp_path: Path) -> None:
    material = in_memory(("both",) * 48)
    data, unseen = material.features(range(36)), material.features(range(36, 48))
    system = train(tmp_path, data, unseen, epochs=12, batch_size=12, learning_rate=1e-2, selection="mean")
    assert development_scores(system, unseen)["mean/score"] > 0.8
    history = read_history(tmp_path)
    assert history[-1]["train/audio"] < history[0]["train/audio"]


# Losses that are odd.


def test_a_loss_that_is_not_finite_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="epoch 0: train/audio.* is not finite; lower learning_rate or set clip_norm"):
        train(tmp_path, mixed("regression").features(), system=lambda: build("regression"), learning_rate=1e30)
    assert read_history(tmp_path) == [] and not (tmp_path / "state.pt").exists()


@pytest.mark.parametrize("constant", [True, False])
def test_constant_and_single_clip_batches_in_regression(tmp_path: Path, constant: bool) -> None:
    """A CCC that is 0/0 must neither stop nor spoil the training."""
    data = in_memory(("both", "both", "audio", "visual", "both"), "regression").features()
    if constant:
        data.examples[:] = [
            Example(it.clip, it.features, np.full(2, 0.5, np.float32), it.speaker) for it in data.examples
        ]
    for size in (1, 2, 4):
        system = train(
            tmp_path / str(size), data, data, system=lambda: build("regression"), batch_size=size, selection="mean"
        )
        assert all(torch.isfinite(value).all() for value in system.state_dict().values())
        for line in read_history(tmp_path / str(size)):
            assert all(math.isfinite(value) for value in line.values())


def test_single_clip_batches_teach(tmp_path: Path) -> None:
    data = in_memory(("both",), "regression").features()
    train(tmp_path, data, system=lambda: build("regression"), epochs=30, learning_rate=1e-2)
    history = read_history(tmp_path)
    assert history[-1]["train/audio"] < 0.05 < history[0]["train/audio"]


def test_mixed_precision_runs_on_a_cpu(tmp_path: Path) -> None:
    full = run_noisily(tmp_path / "full", feature_noise=0.0)
    mixed_run = run_noisily(tmp_path / "mixed", feature_noise=0.0, precision="bf16-mixed")
    assert mixed_run[0] != full[0]  # it was another arithmetic indeed
    for line, other in zip(full[1], mixed_run[1], strict=True):
        assert line.keys() == other.keys()
        assert other["train/audio"] == pytest.approx(line["train/audio"], rel=0.1)
    stored = torch.load(tmp_path / "mixed" / "best.pt", weights_only=True)
    assert {value.dtype for value in stored.values()} == {torch.float32, torch.int64}


# Settings.


def test_the_learning_rate_rises_and_falls(tmp_path: Path) -> None:
    data = in_memory(("both",) * 8).features()
    train(tmp_path / "cosine", data, epochs=10, batch_size=4, schedule="cosine", learning_rate=1e-3)
    rates = [line["learning_rate"] for line in read_history(tmp_path / "cosine")]
    warm = round(WARM_UP * 20)
    assert max(rates) == pytest.approx(1e-3, rel=1e-6) and rates.index(max(rates)) == warm // 2 - 1
    assert rates[warm // 2 - 1 :] == sorted(rates[warm // 2 - 1 :], reverse=True)
    assert 0.0 < rates[-1] < 0.02 * 1e-3
    train(tmp_path / "constant", data, epochs=3, learning_rate=1e-3)
    assert {line["learning_rate"] for line in read_history(tmp_path / "constant")} == {1e-3}


def test_noise_and_clipping_change_a_run(tmp_path: Path) -> None:
    plain = run_noisily(tmp_path / "plain", feature_noise=0.0)
    for name, changes in {"noise": {"feature_noise": 0.5}, "clip": {"feature_noise": 0.0, "clip_norm": 1e-3}}.items():
        assert run_noisily(tmp_path / name, **changes)[0] != plain[0]


@pytest.mark.parametrize(
    "changes", [{"seed": -1}, {"seed": 2**32}, {"epochs": 0}, {"batch_size": 0}, {"learning_rate": 0.0}, {"lr": 1.0}]
)
def test_settings_that_make_no_sense(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(changes))):
        FitSettings(**changes)

"""Training runs: they learn, repeat exactly, go on where they stopped, keep the best epoch and log each one once."""

import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from tests.training.small_runs import Material, build, in_memory, small_settings, train, weights
from vavl.config import Task
from vavl.errors import ConfigError
from vavl.systems.batch import Batch
from vavl.systems.system import Answers, System
from vavl.systems.vavl import VavlSystem
from vavl.training.dataset import Example, collate
from vavl.training.development import development_scores
from vavl.training.fit import WARM_UP, FitSettings, Progress
from vavl.training.run_folder import RunFolder, read_history

ROOT = Path(__file__).parent.parent.parent
both_tasks = pytest.mark.parametrize("task", ["classification", "regression"])
NOISY: dict[str, Any] = {"epochs": 4, "feature_noise": 0.2, "schedule": "cosine", "selection": "mean"}
MIXED = ("both", "audio", "two windows", "visual", "both", "both", "audio", "both", "visual")


def mixed(task: Task = "classification") -> Material:
    return in_memory(MIXED, task)


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Epochs take milliseconds here; making their files durable would take most of the time."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


# Learning.


@both_tasks
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


# Repeating and going on.


def noisy() -> System:
    return build(dropout=0.2, head_dropout=0.2)


def run(
    folder: Path, progress: Progress | None = None, **changes: Any
) -> tuple[dict[str, bytes], list[dict[str, Any]]]:
    """Train a small VAVL with everything random switched on; its weights and its history."""
    data, development = mixed().features(range(6)), mixed().features(range(3, 9))
    changes = {**NOISY, **changes}
    system = train(folder, data, development, system=noisy, progress=progress, **changes)
    return weights(system), read_history(folder)


def test_a_seed_repeats_a_run_to_the_last_bit(tmp_path: Path) -> None:
    first = run(tmp_path / "first")
    torch.manual_seed(99)  # what happened before does not matter
    np.random.seed(99)
    assert run(tmp_path / "again") == first
    other = run(tmp_path / "other", seed=1)
    assert all(other[0][name] != value for name, value in first[0].items() if "weight" in name)
    assert other[1] != first[1]


class StopError(Exception):
    """Ends a run from outside."""


@pytest.mark.parametrize("stop", [0, 1, 3])
def test_an_interrupted_run_goes_on_as_if_nothing_had_happened(tmp_path: Path, stop: int) -> None:
    whole = run(tmp_path / "whole")
    told: list[int] = []

    def interrupt(line: dict[str, Any]) -> None:
        told.append(line["epoch"])
        if line["epoch"] == stop:
            raise StopError

    with pytest.raises(StopError):
        run(tmp_path / "part", interrupt)
    assert [line["epoch"] for line in read_history(tmp_path / "part")] == list(range(stop + 1))
    assert run(tmp_path / "part") == whole
    assert told == list(range(stop + 1))
    assert events(tmp_path / "part") == events(tmp_path / "whole")
    assert run(tmp_path / "part") == whole  # a finished run has nothing left to do


@pytest.mark.parametrize("what", ["log", "save_state", "save_best"])
@pytest.mark.parametrize("late", [False, True])
def test_an_end_between_any_two_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, late: bool) -> None:
    """Killed before or after one of the files of an epoch is written: the epoch counts wholly or not at all."""
    whole = run(tmp_path / "whole")
    original, left = getattr(RunFolder, what), iter([False, True])

    def end(self: RunFolder, content: Any) -> None:
        stop = next(left, False)
        if late or not stop:
            original(self, content)
        if stop:
            raise StopError

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, what, end)
        with pytest.raises(StopError):
            run(tmp_path / "part")
    assert run(tmp_path / "part") == whole
    assert events(tmp_path / "part") == events(tmp_path / "whole")


SCRIPT = """
from pathlib import Path
import sys, torch
from tests.training.test_fit import run
torch.set_num_threads(1)
run(Path(sys.argv[1]), lambda line: print(line["epoch"], flush=True))
"""


@pytest.mark.slow
def test_killed_and_started_again(tmp_path: Path) -> None:
    whole = run(tmp_path / "whole")
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "part")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    for delay in (0.0, 0.02, 0.05):
        with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(delay)
            process.kill()
    done = [line["epoch"] for line in read_history(tmp_path / "part")]
    assert done == list(range(len(done)))
    assert run(tmp_path / "part") == whole
    assert events(tmp_path / "part") == events(tmp_path / "whole")


# The run folder.


def test_other_settings_in_the_same_folder_are_refused(tmp_path: Path) -> None:
    before = run(tmp_path, epochs=1)
    for changes in ({"seed": 1}, {"learning_rate": 0.5, "seed": 1}, {"epochs": 2}):
        named = ", ".join(sorted(changes))
        with pytest.raises(ConfigError, match=rf"holds a run of other settings \({named}\); .* pass --restart"):
            run(tmp_path, **{"epochs": 1, **changes})
    assert run(tmp_path, epochs=1) == before


def test_a_restart_forgets_the_earlier_run(tmp_path: Path) -> None:
    run(tmp_path / "folder", epochs=3, seed=1)
    RunFolder(tmp_path / "folder", small_settings().model_dump(mode="json"), restart=True)
    assert read_history(tmp_path / "folder") == [] and events(tmp_path / "folder") == {}
    settings = small_settings(**{**NOISY, "epochs": 2})
    RunFolder(tmp_path / "folder", settings.model_dump(mode="json"), restart=True)
    assert run(tmp_path / "folder", epochs=2) == run(tmp_path / "fresh", epochs=2)
    assert events(tmp_path / "folder") == events(tmp_path / "fresh")


@pytest.mark.parametrize("file", ["state.pt", "best.pt"])
@pytest.mark.parametrize("damage", ["gone", "cut", "text", "pickle"])
def test_damaged_files_of_a_run(tmp_path: Path, file: str, damage: str) -> None:
    run(tmp_path, epochs=1)
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
        run(tmp_path, epochs=1)  # a fresh run
        return
    with pytest.raises(ConfigError, match=f"{file}: cannot be read .*; pass --restart to begin anew"):
        run(tmp_path, epochs=1)


def test_damaged_settings_of_a_run(tmp_path: Path) -> None:
    run(tmp_path, epochs=1)
    for content in ("{", "[]"):
        (tmp_path / "settings.json").write_text(content)
        with pytest.raises(ConfigError, match="holds a run of other settings .not readable"):
            run(tmp_path, epochs=1)


# Choosing the epoch.


class PlannedSystem(System):
    """Answers right for as many clips as planned for the epoch; its only weight counts the epochs.

    Args:
        plan: By epoch and path, the share of clips to answer right.
    """

    name = "planned"
    task: Task = "classification"
    paths = ("audio", "visual", "audio_visual")

    def __init__(self, plan: list[dict[str, float]]) -> None:
        super().__init__()
        inner = build()
        self.audio_normalizer, self.visual_normalizer = inner.audio_normalizer, inner.visual_normalizer
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.register_buffer("epoch", torch.tensor(-1))
        self._plan = plan

    def parameter_steps(self) -> dict[str, list[torch.nn.Parameter]]:
        return {"only": [self.weight]}

    def loss(self, step: str, batch: Batch) -> torch.Tensor:
        self.epoch += 1
        return self.weight

    def answer(self, batch: Batch) -> Answers:
        right = {path: round(share * len(batch)) for path, share in self._plan[int(self.epoch)].items()}
        wrong = batch.target.roll(1, dims=1)
        return Answers(
            {
                path: (torch.arange(len(batch)), torch.cat([batch.target[:count], wrong[count:]]))
                for path, count in right.items()
            }
        )


@pytest.mark.parametrize(
    ("selection", "chosen"), [("audio_visual", 1), ("mean", 2), ("last", 4)], ids=["audio_visual", "mean", "last"]
)
def test_the_best_epoch_is_kept(tmp_path: Path, selection: str, chosen: int) -> None:
    """The earlier one of two that are equally good."""
    plan = [
        {"audio": 0.2, "visual": 0.2, "audio_visual": 0.2},
        {"audio": 0.0, "visual": 0.0, "audio_visual": 0.9},
        {"audio": 1.0, "visual": 1.0, "audio_visual": 0.6},
        {"audio": 1.0, "visual": 1.0, "audio_visual": 0.6},
        {"audio": 0.1, "visual": 0.1, "audio_visual": 0.9},
    ]
    data = in_memory(("both",) * 9).features()
    system = train(
        tmp_path, data, data, system=lambda: PlannedSystem(plan), selection=selection, epochs=5, batch_size=9
    )
    assert int(system.epoch) == chosen
    assert not system.training
    for line, shares in zip(read_history(tmp_path), plan, strict=True):
        mean = np.mean([line[f"development/{path}/score"] for path in shares])
        assert line["development/mean/score"] == pytest.approx(mean)


def test_without_pairs_in_the_development_set_the_mean_decides(tmp_path: Path) -> None:
    material = in_memory(("both", "both", "both", "audio", "visual", "audio"))
    train(tmp_path, material.features(range(3)), material.features(range(3, 6)), selection="audio_visual")
    for line in read_history(tmp_path):
        assert line["development/audio_visual/score"] == line["development/mean/score"]
        assert line["development/mean/score"] == pytest.approx(
            (line["development/audio/score"] + line["development/visual/score"]) / 2
        )


@pytest.mark.parametrize("selection", ["audio_visual", "mean"])
def test_choosing_needs_a_development_set(tmp_path: Path, selection: str) -> None:
    with pytest.raises(ConfigError, match=f"selection '{selection}' needs a development set; use 'last' without one"):
        train(tmp_path, mixed().features(), None, selection=selection)


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
    full = run(tmp_path / "full", feature_noise=0.0)
    mixed_run = run(tmp_path / "mixed", feature_noise=0.0, precision="bf16-mixed")
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
    plain = run(tmp_path / "plain", feature_noise=0.0)
    for name, changes in {"noise": {"feature_noise": 0.5}, "clip": {"feature_noise": 0.0, "clip_norm": 1e-3}}.items():
        assert run(tmp_path / name, **changes)[0] != plain[0]


@pytest.mark.parametrize(
    "changes", [{"seed": -1}, {"seed": 2**32}, {"epochs": 0}, {"batch_size": 0}, {"learning_rate": 0.0}, {"lr": 1.0}]
)
def test_settings_that_make_no_sense(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(changes))):
        FitSettings(**changes)


# Logs.


def events(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard shows of a run, by curve."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util import tensor_util

    found = EventAccumulator(str(folder / "tensorboard"))
    found.Reload()
    return {
        tag: [(event.step, float(tensor_util.make_ndarray(event.tensor_proto))) for event in found.Tensors(tag)]
        for tag in found.Tags()["tensors"]
    }


def test_history_and_tensorboard_tell_the_same(tmp_path: Path) -> None:
    _, history = run(tmp_path)
    assert [line["epoch"] for line in history] == [0, 1, 2, 3]
    assert history == [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    shown = events(tmp_path)
    assert shown.keys() == history[0].keys() - {"epoch"}
    assert {"train/audio", "train/visual", "train/audio_visual", "learning_rate"} < shown.keys()
    assert {"development/audio_visual/score", "development/mean/score"} < shown.keys()
    for tag, points in shown.items():
        assert [step for step, _ in points] == [0, 1, 2, 3]
        assert [value for _, value in points] == pytest.approx([line[tag] for line in history], rel=1e-6)


def test_development_scores_leave_the_system_training() -> None:
    system = build().train()
    before = weights(system)
    development_scores(system, mixed().features())
    assert system.training and weights(system) == before

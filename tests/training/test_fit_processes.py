"""Two processes under ``torchrun``: one run, the same weights in both, whatever each one's clips lack."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.in_processes import LinearSystem, material
from tests.training.small_runs import small_settings
from vavl.training.run_folder import read_history
from vavl.training.trainer import WARM_UP

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parent.parent.parent
EPOCHS = 3


@dataclass(frozen=True)
class Outcome:
    """What two processes left."""

    folder: Path
    weights: list[dict[str, torch.Tensor]]
    notes: list[list[dict[str, Any]]]


def launch(folder: Path, scenario: str, *options: str) -> subprocess.CompletedProcess[str]:
    program = [str(ROOT / "tests" / "training" / "in_processes.py"), str(folder), scenario, *options]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    folder.mkdir(exist_ok=True)
    return subprocess.run(
        [*torchrun, *program], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=1200
    )


def train_in_two(folder: Path, scenario: str) -> Outcome:
    done = launch(folder, scenario)
    assert done.returncode == 0, done.stderr
    weights = [torch.load(folder / f"weights{rank}.pt", weights_only=True) for rank in range(2)]
    return Outcome(folder, weights, [json.loads((folder / f"notes{rank}.json").read_text()) for rank in range(2)])


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """A run on clips of which one has a picture."""
    return train_in_two(tmp_path_factory.mktemp("processes") / "whole", "vavl")


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(value, second[name]) for name, value in first.items())


def test_both_end_with_the_same_weights(outcome: Outcome) -> None:
    assert same(*outcome.weights)
    assert all(value.isfinite().all() for value in outcome.weights[0].values())


def test_both_hold_the_same_parameters_at_every_step(outcome: Outcome) -> None:
    first, second = outcome.notes
    assert [note["step"] for note in first] == [note["step"] for note in second]
    assert [note["parameters"] for note in first] == [note["parameters"] for note in second]
    assert len({note["parameters"] for note in first}) > 2 * EPOCHS  # and they did learn


def test_each_trains_on_its_own_clips(outcome: Outcome) -> None:
    first, second = ({note["clips"] for note in notes} for notes in outcome.notes)
    assert len(outcome.notes[0]) == len(outcome.notes[1]) == EPOCHS * 2 * 3  # epochs, batches each, steps
    for epoch in range(EPOCHS):
        part = slice(epoch * 6, (epoch + 1) * 6)
        assert not {note["clips"] for note in outcome.notes[0][part]} & {
            note["clips"] for note in outcome.notes[1][part]
        }
    assert first != second


def test_a_process_without_any_video_takes_part(outcome: Outcome) -> None:
    """Its visual branch follows the other's, which alone has gradients for it."""
    for epoch in range(EPOCHS):
        part = slice(epoch * 6, (epoch + 1) * 6)
        seen = [sum(n["taken"] for n in notes[part] if n["step"] == "visual") for notes in outcome.notes]
        assert sorted(seen) == [0, 1]
    history = read_history(outcome.folder / "run")
    assert all("train/visual" in line and "train/audio_visual" in line for line in history)


def test_running_statistics_are_shared_after_every_epoch(outcome: Outcome) -> None:
    for epoch in range(1, EPOCHS):
        first, second = (notes[epoch * 6 - 1]["running"] for notes in outcome.notes)
        assert first != second  # each had gathered its own
    finals = [{name: value for name, value in weights.items() if "running" in name} for weights in outcome.weights]
    assert finals[0] and same(*finals)


def test_the_history_is_written_once(outcome: Outcome) -> None:
    history = read_history(outcome.folder / "run")
    assert [line["epoch"] for line in history] == list(range(EPOCHS))
    assert len(list((outcome.folder / "run" / "tensorboard").iterdir())) == 1


def test_two_processes_go_on_where_they_were_interrupted(outcome: Outcome, tmp_path: Path) -> None:
    failed = launch(tmp_path, "vavl", "1")
    assert failed.returncode != 0 and "KeyboardInterrupt" in failed.stderr
    assert [line["epoch"] for line in read_history(tmp_path / "run")] == [0, 1]
    resumed = train_in_two(tmp_path, "vavl")
    assert same(resumed.weights[0], outcome.weights[0])
    assert read_history(tmp_path / "run") == read_history(outcome.folder / "run")


def test_an_update_is_that_of_both_batches_together(tmp_path: Path) -> None:
    """Followed by hand in one process: gradients are averaged over the batches that have the modality."""
    found = train_in_two(tmp_path, "linear")
    assert same(*found.weights)
    data, _ = material("linear")
    settings = small_settings(epochs=EPOCHS, batch_size=2, schedule="cosine")
    torch.manual_seed(settings.seed)
    system = LinearSystem()
    optimizer = torch.optim.Adam(system.parameters(), settings.learning_rate)
    updates = 3  # an epoch's 5 batches in pairs, the first one twice
    total, update = updates * EPOCHS, 0
    warm = max(1, round(WARM_UP * total))
    losses: list[float] = []
    for epoch in range(EPOCHS):
        batches = list(data.shuffled(2, settings.seed + 7919 * epoch))
        assert len(batches) == 5
        losses = []
        for pair in ((0, 1), (2, 3), (4, 0)):
            falling = 0.5 + 0.5 * torch.cos(torch.tensor(torch.pi * max(0, update - warm) / max(1, total - warm)))
            optimizer.param_groups[0]["lr"] = settings.learning_rate * min(1.0, (update + 1) / warm) * float(falling)
            update += 1
            for step in ("audio", "visual"):
                taken = [loss for at in pair if (loss := system.loss(step, batches[at])) is not None]
                if taken:
                    optimizer.zero_grad()
                    torch.stack(taken).mean().backward()
                    optimizer.step()
                    losses += [loss.item() for loss in taken] if step == "audio" else []
    for name, value in system.named_parameters():
        torch.testing.assert_close(found.weights[0][name], value.detach(), atol=1e-5, rtol=1e-4)
    assert read_history(tmp_path / "run")[-1]["train/audio"] == pytest.approx(sum(losses) / len(losses), rel=1e-3)

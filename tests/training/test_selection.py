"""Which epoch is kept, and the development scores that decide it."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.training.small_runs import build, in_memory, mixed, train, weights
from vavl.config import Task
from vavl.errors import ConfigError
from vavl.systems.batch import Batch
from vavl.systems.system import BatchPredictions, System
from vavl.training.development import development_scores
from vavl.training.run_folder import read_history


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

    def predict(self, batch: Batch) -> BatchPredictions:
        right = {path: round(share * len(batch)) for path, share in self._plan[int(self.epoch)].items()}
        wrong = batch.target.roll(1, dims=1)
        return BatchPredictions(
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


def test_development_scores_leave_the_system_training() -> None:
    system = build().train()
    before = weights(system)
    development_scores(system, mixed().features())
    assert system.training and weights(system) == before

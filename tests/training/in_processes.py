"""A program for ``torchrun``: every process trains in the same run folder and leaves notes of what it did and got.

Usage: in_processes.py FOLDER SCENARIO [EPOCH]    the first process fails after EPOCH
"""

import hashlib
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tests.training.small_runs import AUDIO_DIM, VISUAL_DIM, build, in_memory, small_config, train
from vavl.config import Task
from vavl.model import Vavl
from vavl.systems.batch import Batch, Sequences
from vavl.systems.system import BatchPredictions, System
from vavl.systems.vavl import VavlSystem
from vavl.training.dataset import FeatureSet

# One clip has a picture: in every epoch, one of two processes never sees one.
ONE_VIDEO = ("audio", "audio", "both", "audio", "audio", "audio", "audio", "audio")
MIXED = ("both", "audio", "visual", "both", "audio", "audio", "both", "visual", "audio")  # 5 batches of 2
SETTINGS: dict[str, Any] = {"epochs": 3, "batch_size": 2, "feature_noise": 0.1, "schedule": "cosine"}


class NotingSystem(VavlSystem):
    """Notes, before every step, whether it is taken, and hashes of the parameters and of the running statistics."""

    def __init__(self, model: Vavl) -> None:
        super().__init__(model)
        self.notes: list[dict[str, Any]] = []

    def loss(self, step: str, batch: Batch) -> Tensor | None:
        """Note, and go on."""
        loss = super().loss(step, batch)
        state = self.state_dict()
        running = [name for name in state if "running" in name]
        self.notes.append(
            {
                "step": step,
                "taken": loss is not None,
                "clips": digest([batch.target, *([batch.audio.features] if batch.audio else [])]),
                "parameters": digest(list(self.parameters())),
                "running": digest([state[name] for name in running]),
            }
        )
        return loss


class LinearSystem(System):
    """Softmax of a linear map of mean features, one a modality: its gradients can be followed by hand."""

    name = "linear"
    task: Task = "classification"
    paths = ("audio", "visual")

    def __init__(self) -> None:
        super().__init__()
        inner = build()
        self.audio_normalizer, self.visual_normalizer = inner.audio_normalizer, inner.visual_normalizer
        self.audio, self.visual = nn.Linear(AUDIO_DIM, 3), nn.Linear(VISUAL_DIM, 3)

    def parameter_steps(self) -> Mapping[str, list[nn.Parameter]]:
        """A step a modality."""
        return {"audio": list(self.audio.parameters()), "visual": list(self.visual.parameters())}

    def loss(self, step: str, batch: Batch) -> Tensor | None:
        """Cross-entropy of the clips that have the modality."""
        sequences: Sequences | None = getattr(batch, step)
        if sequences is None:
            return None
        means = sequences.features.sum(dim=1) / sequences.lengths[:, None]
        target = batch.target[sequences.rows].argmax(dim=1)
        return nn.functional.cross_entropy(getattr(self, step)(means), target)

    def predict(self, batch: Batch) -> BatchPredictions:
        """None: these tests train to the last epoch."""
        return BatchPredictions()


def digest(tensors: list[Tensor]) -> str:
    """Hash of the bits of some tensors."""
    found = hashlib.sha256()
    for tensor in tensors:
        found.update(tensor.detach().contiguous().numpy().tobytes())
    return found.hexdigest()[:16]


def vavl() -> NotingSystem:
    """A small VAVL with everything random switched on."""
    return NotingSystem(Vavl(small_config(dropout=0.1, head_dropout=0.1)))


def material(scenario: str) -> tuple[FeatureSet, FeatureSet | None]:
    """Training and development set of a scenario."""
    if scenario == "linear":
        return in_memory(MIXED).features(), None
    whole = in_memory((*ONE_VIDEO, "both", "both", "both"))
    return whole.features(range(8)), whole.features(range(8, 11))


def main(folder: Path, scenario: str, fail_after: int) -> None:
    """Train, and leave notes and weights."""
    torch.set_num_threads(1)
    data, development = material(scenario)

    def progress(line: dict[str, Any]) -> None:
        if line["epoch"] == fail_after:
            raise KeyboardInterrupt

    settings = {**SETTINGS, **({"feature_noise": 0.0} if development is None else {"selection": "mean"})}
    system = train(
        folder / "run",
        data,
        development,
        system=LinearSystem if scenario == "linear" else vavl,
        progress=progress,
        **settings,
    )
    rank = os.environ["RANK"]
    torch.save(system.state_dict(), folder / f"weights{rank}.pt")
    (folder / f"notes{rank}.json").write_text(json.dumps(getattr(system, "notes", [])))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else -1)

"""Trains any system on cached features: epochs, choice of the best epoch, resuming, several processes.

Lightning Fabric places tensors, casts to mixed precision and connects processes.
"""

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from vavl.errors import ConfigError
from vavl.systems.system import System
from vavl.training.dataset import FeatureSet
from vavl.training.development import development_scores
from vavl.training.discriminants import fit_discriminants
from vavl.training.run_folder import RunFolder
from vavl.training.settings import FitSettings
from vavl.training.trainer import Trainer

Progress = Callable[[dict[str, Any]], None]


def fit(
    build: Callable[[], System],
    train: FeatureSet,
    development: FeatureSet | None,
    settings: FitSettings,
    run: RunFolder,
    *,
    accelerator: str = "auto",
    devices: int | str = 1,
    progress: Progress | None = None,
) -> System:
    """Train a system. An interrupted run in the same folder resumes after its last complete epoch.

    Args:
        build: Builds the system; called after PyTorch is seeded.
        train: Training windows.
        development: Windows by which the best epoch is chosen; may be None if ``selection`` is ``last``.
        settings: How to train.
        run: Keeps state and history.
        accelerator: ``auto``, ``cpu`` or ``cuda``, as in Lightning Fabric.
        devices: Number of devices, as in Lightning Fabric. Ignored under ``torchrun``, which starts the processes.
        progress: Called with the history line of every epoch, in the first process only.

    Returns:
        The system with the weights of the best epoch, in evaluation mode, on the CPU.

    Raises:
        ConfigError: The selection needs a development set, a loss diverged, or the folder holds a damaged run.
    """
    if development is None and settings.selection != "last":
        raise ConfigError(f"selection {settings.selection!r} needs a development set; use 'last' without one")
    fabric = _connect(accelerator, devices, settings.precision)
    torch.manual_seed(settings.seed)
    system = build()
    _set_statistics(system, train)
    if system.task == "regression":
        _start_at_the_mean(system, train)
    system.to(fabric.device)
    trainer = Trainer(system, settings, fabric, train)
    best = Best()
    start = 0
    if (state := run.load_state()) is not None:
        start = trainer.restore(state)
        best = Best(state.best_score, state.best_epoch)
    for epoch in range(start, settings.epochs):
        line: dict[str, Any] = {"epoch": epoch, **trainer.epoch(epoch)}
        if development is not None:
            line |= {f"development/{key}": value for key, value in development_scores(system, development).items()}
        if fabric.is_global_zero:
            score = float(epoch) if settings.selection == "last" else line[f"development/{settings.selection}/score"]
            if best.improves(score):
                best = Best(score, epoch)
                run.save_best(system.state_dict())
            run.log(line)
            run.save_state(trainer.state(epoch + 1, best.score, best.epoch))
            if progress is not None:
                progress(line)
        fabric.barrier()
    run.close()
    system.load_state_dict(run.load_best())
    system.cpu().eval()
    return system


def _connect(accelerator: str, devices: int | str, precision: Any) -> Any:
    """Start Lightning Fabric in this process and connect it to the other processes, if there are any."""
    from lightning_fabric import Fabric

    machines = 1
    if torch.distributed.is_torchelastic_launched():
        # With devices=1, Fabric would train separately in each of torchrun's processes.
        devices = int(os.environ["LOCAL_WORLD_SIZE"])
        machines = int(os.environ["WORLD_SIZE"]) // devices
    fabric = Fabric(accelerator=accelerator, devices=devices, num_nodes=machines, precision=precision)
    fabric.launch()
    return fabric


class Best:
    """The best epoch so far; of equal scores, the earlier epoch counts."""

    def __init__(self, score: float = -float("inf"), epoch: int = -1) -> None:
        self.score = score
        self.epoch = epoch

    def improves(self, score: float) -> bool:
        """Whether a score is better than the best so far."""
        return score > self.score


def _start_at_the_mean(system: System, train: FeatureSet) -> None:
    """Let every path predict the mean of the training set, whatever it is given.

    Concordance hardly pulls predictions that lie far off the scale: its gradient falls with the square of the distance.
    """
    mean = torch.from_numpy(np.mean([example.target for example in train.examples], axis=0))
    with torch.no_grad():
        for layer in system.output_layers():
            layer.weight.zero_()
            layer.bias.copy_(mean)


def _set_statistics(system: System, train: FeatureSet) -> None:
    """Set the training set's means and deviations (D13), and fit the discriminants of a system that has them."""
    for modality, normalizers in system.normalizers().items():
        if (statistics := train.statistics(modality)) is not None:
            for normalizer in normalizers:
                normalizer.mean.copy_(torch.from_numpy(statistics[0]))
                normalizer.std.copy_(torch.from_numpy(statistics[1]))
    for modality, branch in system.discriminant_branches().items():
        fit_discriminants(branch, train, modality)

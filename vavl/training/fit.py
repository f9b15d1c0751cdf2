"""Training any system on cached features: epochs, selection on the development set, resuming, several processes.

Lightning Fabric places tensors, casts to mixed precision and connects processes. Gradients are averaged here rather
than by a DDP wrapper, because a step that one process cannot take (none of its clips has the modality) must not
stop the others.
"""

import math
import os
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from vavl.config import Positive, StrictModel
from vavl.errors import ConfigError
from vavl.systems.batch import Batch, Sequences
from vavl.systems.system import System
from vavl.training.dataset import FeatureSet
from vavl.training.development import development_scores
from vavl.training.discriminants import fit_discriminants
from vavl.training.run_folder import RunFolder, TrainingState

NonNegative = Annotated[float, Field(ge=0)]


class FitSettings(StrictModel):
    """How a system is trained; the defaults are the paper's (§4.3).

    Attributes:
        epochs: Passes over the training set.
        batch_size: Windows a batch and process: 32 for CREMA-D, 16 for MSP-IMPROV.
        learning_rate: Of Adam.
        schedule: ``constant``, or ``cosine`` down to zero after a tenth of warm-up.
        weight_decay: Decoupled (AdamW); 0 is plain Adam.
        clip_norm: Largest gradient norm of a step; None leaves gradients alone.
        feature_noise: Deviation of a random offset, one a clip and feature, in units of that feature's own
            deviation. What it adds looks like another speaker or room.
        repeat_paired: How often an epoch shows the windows that have both modalities; more than once where most
            clips lack one, so that the rarer modality and the fusion get their share of updates.
        seed: Of weights, order, dropout and noise.
        precision: ``32-true``, ``bf16-mixed`` or ``16-mixed``.
        selection: Which epoch's weights are kept: the one with the best development score by the audio-visual path
            (D22) or on average over the paths, or simply the last.
    """

    epochs: Positive = 20
    batch_size: Positive = 32
    learning_rate: Annotated[float, Field(gt=0)] = 5e-5
    schedule: Literal["constant", "cosine"] = "constant"
    weight_decay: NonNegative = 0.0
    clip_norm: Annotated[float, Field(gt=0)] | None = None
    feature_noise: NonNegative = 0.0
    repeat_paired: Positive = 1
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    selection: Literal["audio_visual", "mean", "last"] = "audio_visual"


WARM_UP = 0.1  # of all updates, with the cosine schedule
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
    """Train a system; continues where an interrupted run in the same folder stopped.

    Args:
        build: Makes the system; called after seeding.
        train: Training windows.
        development: Windows to choose the epoch by; may be None with ``selection`` ``last``.
        settings: How to train.
        run: Where state and history are kept.
        accelerator: Of Lightning Fabric: ``auto``, ``cpu``, ``cuda``.
        devices: Of Lightning Fabric. Under ``torchrun``, which runs one process a device already, it says how many.
        progress: Told the history line of every epoch, in the first process.

    Returns:
        The system with the chosen weights, in evaluation mode, on the CPU.

    Raises:
        ConfigError: Nothing to choose the epoch by, a diverged loss, or a run of other settings in the folder.
    """
    if development is None and settings.selection != "last":
        raise ConfigError(f"selection {settings.selection!r} needs a development set; use 'last' without one")
    fabric = _connect(accelerator, devices, settings.precision)
    torch.manual_seed(settings.seed)
    system = build()
    _normalize(system, train)
    system.to(fabric.device)
    trainer = _Trainer(system, settings, fabric, train)
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
            if best.improves(score, epoch):
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
    """Start Lightning Fabric in this process, and connect it to the others if there are any."""
    from lightning_fabric import Fabric

    machines = 1
    if torch.distributed.is_torchelastic_launched():
        # Told of one device, Fabric would train alone in each of torchrun's processes.
        devices = int(os.environ["LOCAL_WORLD_SIZE"])
        machines = int(os.environ["WORLD_SIZE"]) // devices
    fabric = Fabric(accelerator=accelerator, devices=devices, num_nodes=machines, precision=precision)
    fabric.launch()
    return fabric


class Best:
    """The best epoch so far; the earlier one wins a tie."""

    def __init__(self, score: float = -float("inf"), epoch: int = -1) -> None:
        self.score = score
        self.epoch = epoch

    def improves(self, score: float, epoch: int) -> bool:
        """Whether an epoch is better."""
        return score > self.score


class _Trainer:
    """One optimiser over all parameters; each step leaves gradients only on those it may move."""

    def __init__(self, system: System, settings: FitSettings, fabric: Any, train: FeatureSet) -> None:
        self.system = system
        self.settings = settings
        self.fabric = fabric
        self.train_set = train
        self.steps: Mapping[str, list[nn.Parameter]] = system.parameter_steps()
        parameters = list({id(p): p for group in self.steps.values() for p in group}.values())
        # Adam skips parameters without a gradient, so the moments of θ_s are shared by the steps that move it.
        self.optimizer = torch.optim.AdamW(
            parameters, settings.learning_rate, weight_decay=settings.weight_decay, fused=True
        )
        self.scaler = torch.amp.GradScaler(fabric.device.type, enabled=settings.precision == "16-mixed")
        self.scaler.scale(torch.zeros((), device=fabric.device))  # else it is not ready in a process without a loss
        epoch_length = train.epoch_length(settings.repeat_paired)
        self.batches = math.ceil(math.ceil(epoch_length / settings.batch_size) / fabric.world_size)
        self.spread = {
            modality: torch.from_numpy(found[1]).to(fabric.device)
            for modality in ("audio", "visual")
            if settings.feature_noise and (found := train.statistics(modality)) is not None
        }

    def epoch(self, epoch: int) -> dict[str, float]:
        """Train one epoch; mean loss by step, over all processes."""
        fabric, settings = self.fabric, self.settings
        torch.manual_seed(settings.seed * 100_003 + epoch * 1009 + fabric.global_rank)
        self.system.train()
        sums: dict[str, list[Tensor]] = {step: [] for step in self.steps}
        share = (fabric.global_rank, fabric.world_size)
        order_seed = settings.seed + 7919 * epoch
        batches = self.train_set.shuffled(settings.batch_size, order_seed, share, settings.repeat_paired)
        for at, batch in enumerate(batches):
            self._set_rate(epoch * self.batches + at)
            batch = self._perturbed(batch.to(fabric.device))
            for step, parameters in self.steps.items():
                loss = self._update(step, parameters, batch)
                if loss is not None:
                    sums[step].append(loss)
        losses = {f"train/{step}": mean for step, mean in self._means(sums).items()}
        if bad := [name for name, value in losses.items() if not math.isfinite(value)]:
            raise ConfigError(f"epoch {epoch}: {', '.join(bad)} is not finite; lower learning_rate or set clip_norm")
        if fabric.world_size > 1:
            self._share_buffers()
        return losses | {"learning_rate": self.optimizer.param_groups[0]["lr"]}

    def _update(self, step: str, parameters: list[nn.Parameter], batch: Batch) -> Tensor | None:
        self.optimizer.zero_grad(set_to_none=True)
        with self.fabric.autocast():
            loss = self.system.loss(step, batch)
        if loss is not None:
            self.scaler.scale(loss).backward()
        if self.fabric.world_size > 1 and not self._average_gradients(parameters, loss is not None):
            return None
        if self.fabric.world_size == 1 and loss is None:
            return None
        if self.settings.clip_norm is not None:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(parameters, self.settings.clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return loss.detach() if loss is not None else None

    def _average_gradients(self, parameters: list[nn.Parameter], took_part: bool) -> bool:
        """Average over the processes that could take the step; False if none could."""
        gradients = [p.grad if p.grad is not None else torch.zeros_like(p) for p in parameters]
        flat = torch.cat(
            [*(g.flatten() for g in gradients), torch.tensor([float(took_part)], device=gradients[0].device)]
        )
        flat = self.fabric.all_reduce(flat, reduce_op="sum")
        if flat[-1] == 0:
            return False
        flat = flat[:-1] / flat[-1]
        for parameter, part in zip(parameters, flat.split([p.numel() for p in parameters]), strict=True):
            parameter.grad = part.view_as(parameter).clone()
        return True

    def _means(self, losses: Mapping[str, list[Tensor]]) -> dict[str, float]:
        """Mean loss of every step that any process took."""
        totals = torch.zeros(len(losses), 2, dtype=torch.float64, device=self.fabric.device)
        for row, values in zip(totals, losses.values(), strict=True):
            if values:
                row[0], row[1] = torch.stack(values).double().sum(), len(values)
        if self.fabric.world_size > 1:
            totals = self.fabric.all_reduce(totals, reduce_op="sum")
        return {step: total / count for step, (total, count) in zip(losses, totals.tolist(), strict=True) if count}

    def _share_buffers(self) -> None:
        """Average BatchNorm's running statistics, which each process gathers from its own clips."""
        for name, buffer in self.system.named_buffers():
            if name.endswith(("running_mean", "running_var")):
                buffer.copy_(self.fabric.all_reduce(buffer, reduce_op="mean"))

    def _perturbed(self, batch: Batch) -> Batch:
        if not self.spread:
            return batch

        def shift(sequences: Sequences | None, modality: str) -> Sequences | None:
            if sequences is None:
                return None
            offset = torch.randn_like(sequences.features[:, :1]) * self.spread[modality] * self.settings.feature_noise
            return Sequences(sequences.features + offset, sequences.lengths, sequences.rows)

        return Batch(shift(batch.audio, "audio"), shift(batch.visual, "visual"), batch.target)

    def _set_rate(self, update: int) -> None:
        if self.settings.schedule == "cosine":
            total = self.batches * self.settings.epochs
            warm = max(1, round(WARM_UP * total))
            rising = min(1.0, (update + 1) / warm)
            falling = 0.5 + 0.5 * math.cos(math.pi * max(0, update - warm) / max(1, total - warm))
            for group in self.optimizer.param_groups:
                group["lr"] = self.settings.learning_rate * rising * falling

    def state(self, epochs_done: int, best_score: float, best_epoch: int) -> TrainingState:
        """Everything that the next epoch depends on; random numbers are seeded anew in each."""
        return TrainingState(
            epochs_done,
            best_score,
            best_epoch,
            self.system.state_dict(),
            self.optimizer.state_dict(),
            self.scaler.state_dict(),
        )

    def restore(self, state: TrainingState) -> int:
        """Continue from a saved state; the number of epochs it has seen."""
        self.system.load_state_dict(state.system)
        self.optimizer.load_state_dict(state.optimizer)
        self.scaler.load_state_dict(state.scaler)
        return state.epochs_done


def _normalize(system: System, train: FeatureSet) -> None:
    """Give a system the training set's statistics: means and deviations (D13), and discriminants where it has them."""
    for modality, normalizers in system.normalizers().items():
        if (statistics := train.statistics(modality)) is not None:
            for normalizer in normalizers:
                normalizer.mean.copy_(torch.from_numpy(statistics[0]))
                normalizer.std.copy_(torch.from_numpy(statistics[1]))
    for modality, branch in system.discriminant_branches().items():
        fit_discriminants(branch, train, modality)

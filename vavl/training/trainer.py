"""One epoch of training: each step of a system updates its own parameters, in one process or in several.

Gradients are averaged here and not by a DDP wrapper: a process may be unable to take a step because none of its clips
has the modality, and the other processes must not wait for it.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from vavl.errors import ConfigError
from vavl.systems.batch import Batch, Sequences
from vavl.systems.system import System
from vavl.training.dataset import FeatureSet
from vavl.training.run_folder import TrainingState
from vavl.training.settings import FitSettings

WARM_UP = 0.1  # of all updates, with the cosine schedule


class Trainer:
    """Trains a system with one optimiser over all parameters.

    Each step leaves gradients only on the parameters that it may update.

    Args:
        system: The system, on the device of ``fabric``.
        settings: How to train.
        fabric: Lightning Fabric, connected to the other processes.
        train: Training windows.
    """

    def __init__(self, system: System, settings: FitSettings, fabric: Any, train: FeatureSet) -> None:
        self.system = system
        self.settings = settings
        self.fabric = fabric
        self.train_set = train
        self.steps: Mapping[str, list[nn.Parameter]] = system.parameter_steps()
        parameters = list({id(p): p for group in self.steps.values() for p in group}.values())
        # Adam skips parameters without a gradient. So the steps that update θ_s share its moments.
        self.optimizer = torch.optim.AdamW(
            parameters, settings.learning_rate, weight_decay=settings.weight_decay, fused=True
        )
        self.scaler = torch.amp.GradScaler(fabric.device.type, enabled=settings.precision == "16-mixed")
        self.scaler.scale(torch.zeros((), device=fabric.device))  # initialise it even if this process never has a loss
        epoch_length = train.epoch_length(settings.repeat_paired)
        self.batches = math.ceil(math.ceil(epoch_length / settings.batch_size) / fabric.world_size)
        self.spread = {
            modality: torch.from_numpy(found[1]).to(fabric.device)
            for modality in ("audio", "visual")
            if settings.feature_noise and (found := train.statistics(modality)) is not None
        }

    def epoch(self, epoch: int) -> dict[str, float]:
        """Train one epoch.

        Returns:
            The mean loss of each step over all processes (``train/<step>``), and the learning rate.

        Raises:
            ConfigError: A loss is not finite.
        """
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
        """Average gradients over the processes that could take the step. Returns False if none could."""
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
        """Mean loss of every step that at least one process took."""
        totals = torch.zeros(len(losses), 2, dtype=torch.float64, device=self.fabric.device)
        for row, values in zip(totals, losses.values(), strict=True):
            if values:
                row[0], row[1] = torch.stack(values).double().sum(), len(values)
        if self.fabric.world_size > 1:
            totals = self.fabric.all_reduce(totals, reduce_op="sum")
        return {step: total / count for step, (total, count) in zip(losses, totals.tolist(), strict=True) if count}

    def _share_buffers(self) -> None:
        """Average BatchNorm's running statistics over the processes; each collects them from its own clips."""
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
        """Everything that the next epoch depends on. Random numbers are not part of it: every epoch is seeded anew."""
        return TrainingState(
            epochs_done,
            best_score,
            best_epoch,
            self.system.state_dict(),
            self.optimizer.state_dict(),
            self.scaler.state_dict(),
        )

    def restore(self, state: TrainingState) -> int:
        """Continue from a saved state; returns its number of epochs."""
        self.system.load_state_dict(state.system)
        self.optimizer.load_state_dict(state.optimizer)
        self.scaler.load_state_dict(state.scaler)
        return state.epochs_done

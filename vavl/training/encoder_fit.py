"""Trains a feature encoder under a temporary head (paper §4.2), which is discarded afterwards.

Sound: a clip's tokens are averaged. Faces: every frame is an example with the label of its clip.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vavl.config import Task
from vavl.corpora.corpus import Clip, Corpus
from vavl.encoders.base import FACE_SIZE, AudioEncoder, FaceEncoder
from vavl.errors import ConfigError
from vavl.features.cache import FeatureCache
from vavl.model.masking import length_mask, masked_mean
from vavl.systems.losses import task_loss
from vavl.training.augment import change_faces, change_sound
from vavl.training.dataset import scale_target
from vavl.training.settings import EncoderSettings


class PooledHead(nn.Sequential):
    """Two fully connected layers with layer norm, ReLU and dropout, and a linear output."""

    def __init__(self, inputs: int, hidden: int, outputs: int, dropout: float) -> None:
        layers: list[nn.Module] = []
        for width in (inputs, hidden):
            layers += [nn.Linear(width, hidden), nn.LayerNorm(hidden), nn.ReLU(), nn.Dropout(dropout)]
        super().__init__(*layers, nn.Linear(hidden, outputs))


@dataclass(frozen=True)
class RawExample:
    """A window of sound (S,) float32, or a face crop (224, 224, 3) uint8, with its clip and target."""

    clip: str
    values: NDArray[Any]
    target: NDArray[np.float32]


EncoderT = TypeVar("EncoderT", bound=AudioEncoder | FaceEncoder)


class EncoderUnderHead(nn.Module):
    """An encoder with its pooled head.

    Args:
        encoder: The encoder to train; its `frozen` parameters do not change.
        outputs: Number of classes or attributes, C.
        settings: Width and dropout of the head.
    """

    def __init__(self, encoder: AudioEncoder | FaceEncoder, outputs: int, settings: EncoderSettings) -> None:
        super().__init__()
        self.encoder = encoder
        self.norm = nn.BatchNorm1d(encoder.dim, affine=False)  # features have different units
        self.head = PooledHead(encoder.dim, settings.hidden, outputs, settings.dropout)
        for name, parameter in encoder.named_parameters():
            parameter.requires_grad_(not name.startswith(encoder.frozen))

    def forward(self, examples: Sequence[RawExample], augment: bool) -> Tensor:
        """Logits (B, C) of a batch."""
        device = next(self.head.parameters()).device
        if isinstance(self.encoder, FaceEncoder):
            faces = torch.from_numpy(np.stack([example.values for example in examples]))
            pooled = self.encoder((change_faces(faces) if augment else faces).to(device))
        else:
            samples = torch.tensor([len(example.values) for example in examples])
            waveform = torch.zeros(len(examples), int(samples.max()))
            for row, example in enumerate(examples):
                waveform[row, : len(example.values)] = torch.from_numpy(np.array(example.values))
            if augment:
                waveform, samples = change_sound(waveform, samples, self.encoder.minimum_samples)
            features, lengths = self.encoder(waveform.to(device), samples.to(device))
            pooled = masked_mean(features, length_mask(lengths, features.shape[1]))
        logits: Tensor = self.head(self._normalize(pooled))
        return logits

    def _normalize(self, pooled: Tensor) -> Tensor:
        if self.training and len(pooled) == 1:  # one example has no variance: take the running statistics
            return nn.functional.batch_norm(pooled, self.norm.running_mean, self.norm.running_var, eps=self.norm.eps)
        return self.norm(pooled)


def sound_examples(cache: FeatureCache, corpus: Corpus, clips: Sequence[Clip], minimum: int) -> list[RawExample]:
    """Windows of sound with at least ``minimum`` samples, as training examples."""
    return [
        RawExample(clip.id, window.audio[:, 0], scale_target(corpus, clip.target))
        for clip in clips
        for window in cache.windows(clip.id)
        if window.audio is not None and len(window.audio) >= minimum
    ]


def face_examples(cache: FeatureCache, corpus: Corpus, clips: Sequence[Clip]) -> list[RawExample]:
    """Every cached face crop, as a training example."""
    return [
        RawExample(clip.id, crop.reshape(FACE_SIZE, FACE_SIZE, 3), scale_target(corpus, clip.target))
        for clip in clips
        for window in cache.windows(clip.id)
        if window.visual is not None
        for crop in window.visual
    ]


def fit_encoder(
    encoder: EncoderT,
    task: Task,
    train: Sequence[RawExample],
    development: Sequence[RawExample],
    settings: EncoderSettings,
    *,
    device: str = "cpu",
    progress: Callable[[dict[str, Any]], None] | None = None,
) -> EncoderT:
    """Train an encoder in place.

    Args:
        encoder: The encoder to train.
        task: ``classification`` (cross-entropy) or ``regression`` (CCC).
        train: Training examples.
        development: Examples by which the best epoch is chosen; if empty, the last epoch is kept.
        settings: How to train.
        device: PyTorch device, such as ``cpu`` or ``cuda``.
        progress: Called with the loss and the score of every epoch.

    Returns:
        The encoder with the weights of the best epoch, in evaluation mode, on the CPU.

    Raises:
        ConfigError: There is no training example, the encoder has no trainable parameter, or the loss diverged.
    """
    if not train:
        raise ConfigError("encoder training: no clip of the training set has this modality; choose another partition")
    torch.manual_seed(settings.seed)
    model = EncoderUnderHead(encoder, len(train[0].target), settings).to(device)
    if not any(parameter.requires_grad for parameter in encoder.parameters()):
        raise ConfigError("encoder training: this encoder has no trainable parameters; name another one")
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(parameters, settings.learning_rate)
    best_score, best_state = -float("inf"), None
    for epoch in range(settings.epochs):
        model.train()
        losses = []
        for examples in _shuffled(train, settings.batch_size, settings.seed * 1009 + epoch):
            target = torch.from_numpy(np.stack([example.target for example in examples])).to(device)
            loss = task_loss(task, model(examples, settings.augment), target)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        line: dict[str, Any] = {"epoch": epoch, "train": float(np.mean(losses))}
        if not np.isfinite(line["train"]):
            raise ConfigError(f"encoder training: the loss is not finite in epoch {epoch}; lower the learning rate")
        if development:
            line["development"] = score = _score(model, task, development, settings.batch_size)
            if score > best_score:
                best_score = score
                best_state = {name: value.detach().clone() for name, value in encoder.state_dict().items()}
        if progress is not None:
            progress(line)
    if best_state is not None:
        encoder.load_state_dict(best_state)
    encoder.requires_grad_(True).cpu().eval()
    return encoder


def _shuffled(examples: Sequence[RawExample], size: int, seed: int) -> Iterator[list[RawExample]]:
    order = np.random.default_rng(seed).permutation(len(examples))
    for start in range(0, len(order), size):
        yield [examples[i] for i in order[start : start + size]]


def _score(model: nn.Module, task: Task, examples: Sequence[RawExample], size: int) -> float:
    """Macro F1 or mean CCC over clips; a clip's prediction is the mean over its windows or frames."""
    from vavl.evaluation.metrics import concordance, macro_f1

    predicted: dict[str, list[NDArray[np.float64]]] = defaultdict(list)
    targets = {example.clip: example.target.astype(np.float64) for example in examples}
    model.eval()
    with torch.inference_mode():
        for start in range(0, len(examples), size):
            batch = examples[start : start + size]
            logits = model(batch, False).double().cpu()
            values = torch.softmax(logits, -1) if task == "classification" else logits
            for example, value in zip(batch, values.numpy(), strict=True):
                predicted[example.clip].append(value)
    prediction = np.stack([np.mean(values, axis=0) for values in predicted.values()])
    target = np.stack([targets[clip] for clip in predicted])
    return macro_f1(prediction, target) if task == "classification" else float(np.mean(concordance(prediction, target)))

"""What every baseline shares: the features it takes, their normalisation, and the form of its answers.

Legend: B clips, N clips of one group, T tokens, F feature width, C classes or attributes.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from vavl.errors import ConfigError
from vavl.model import Modality
from vavl.model.heads import FeatureNormalizer
from vavl.model.masking import length_mask
from vavl.systems.batch import Batch, Sequences
from vavl.systems.system import Shape, System
from vavl_runtime.errors import InvalidArrayError


@dataclass(frozen=True)
class Group:
    """Clips of a batch that all have the same modalities.

    Attributes:
        rows: Which rows of the batch these are, ascending, int64, shape (N,).
        audio: Their audio features, or None.
        visual: Their visual features, or None; never both None.
    """

    rows: Tensor
    audio: Sequences | None
    visual: Sequences | None


def groups(batch: Batch) -> Iterator[Group]:
    """Split a batch into its paired, its audio-only and its visual-only clips; empty groups are left out."""
    every = torch.arange(len(batch), device=batch.target.device)
    nothing = torch.zeros_like(every, dtype=torch.bool)
    heard = torch.isin(every, batch.audio.rows) if batch.audio is not None else nothing
    seen = torch.isin(every, batch.visual.rows) if batch.visual is not None else nothing
    for has_audio, has_visual in ((True, True), (True, False), (False, True)):
        rows = every[(heard == has_audio) & (seen == has_visual)]
        if len(rows):
            yield Group(
                rows,
                batch.audio.take(rows) if has_audio and batch.audio is not None else None,
                batch.visual.take(rows) if has_visual and batch.visual is not None else None,
            )


def present(batch: Batch) -> Iterator[tuple[Modality, Sequences]]:
    """The modalities that any clip of a batch has, with their features."""
    if batch.audio is not None:
        yield "audio", batch.audio
    if batch.visual is not None:
        yield "visual", batch.visual


def check_choice(name: str, value: str, allowed: tuple[str, ...]) -> None:
    """Refuse a value that is no choice.

    Raises:
        ConfigError: The value is not among the allowed ones.
    """
    if value not in allowed:
        raise ConfigError(f"{name}: got {value!r}, expected one of {', '.join(allowed)}")


class Baseline(System):
    """A system that VAVL is compared with, on the same features, masks and statistics.

    Args:
        shape: What it is built for.
        max_tokens: Longest sequence it takes, or None if any length will do.
        **chosen: The value of every keyword that `choices` explains.

    Attributes:
        choices: What the paper and the baseline's own code leave open, and what was decided; by constructor
            keyword, or by topic where the decision is none of the constructor's. For people: tables print it,
            with the value out of `chosen`.
        chosen: What this instance was built with, by constructor keyword.
        shape: What it is built for.
        audio_normalizer: Training-set statistics of the audio features, set by the trainer; applied first.
        visual_normalizer: The same for the visual features.
    """

    choices: ClassVar[Mapping[str, str]]

    def __init__(self, shape: Shape, *, max_tokens: int | None = None, **chosen: object) -> None:
        super().__init__()
        self.shape = shape
        self.chosen: Mapping[str, object] = chosen
        self.max_tokens = max_tokens
        self.audio_normalizer = FeatureNormalizer(shape.audio_dim)
        self.visual_normalizer = FeatureNormalizer(shape.visual_dim)

    def normalized(self, modality: Modality, sequences: Sequences) -> Tensor:
        """Check features and normalise them.

        Args:
            modality: Which modality they are of.
            sequences: The features, (N, T, F).

        Returns:
            Normalised features, 0 in padding, shape (N, T, F).

        Raises:
            InvalidArrayError: The width is not the one this system was built for, or the sequence is too long.
        """
        width = self.shape.audio_dim if modality == "audio" else self.shape.visual_dim
        features = sequences.features
        if features.ndim != 3 or features.shape[2] != width:
            raise InvalidArrayError(
                f"{modality} features: got shape {tuple(features.shape)}, expected (clips, tokens, {width}); "
                "build the system for the encoder that made them"
            )
        if self.max_tokens is not None and features.shape[1] > self.max_tokens:
            raise InvalidArrayError(
                f"{modality} features: got {features.shape[1]} tokens, {self.name} takes {self.max_tokens}; "
                "cut the clip or raise max_tokens"
            )
        normalizer = self.audio_normalizer if modality == "audio" else self.visual_normalizer
        return normalizer(features) * length_mask(sequences.lengths, features.shape[1])[:, :, None]

    def predictions(self, logits: Tensor) -> Tensor:
        """Turn network outputs (N, C) into what `System.answer` returns, (N, C)."""
        return torch.softmax(logits, dim=-1) if self.shape.task == "classification" else logits

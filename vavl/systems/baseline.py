"""The base class of the baselines: it checks and normalises features and turns logits into predictions.

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
    """The clips of a batch that have the same modalities.

    Attributes:
        rows: Their rows in the batch, ascending, int64, shape (N,).
        audio: Their audio features, or None.
        visual: Their visual features, or None; never both None.
    """

    rows: Tensor
    audio: Sequences | None
    visual: Sequences | None


def group_by_modalities(batch: Batch) -> Iterator[Group]:
    """Split a batch into the clips with both modalities, with audio only and with video only; skips empty groups."""
    every = torch.arange(len(batch), device=batch.target.device)
    nowhere = torch.zeros_like(every, dtype=torch.bool)
    with_audio = torch.isin(every, batch.audio.rows) if batch.audio is not None else nowhere
    with_visual = torch.isin(every, batch.visual.rows) if batch.visual is not None else nowhere
    for has_audio, has_visual in ((True, True), (True, False), (False, True)):
        rows = every[(with_audio == has_audio) & (with_visual == has_visual)]
        if len(rows):
            yield Group(
                rows,
                batch.audio.take(rows) if has_audio and batch.audio is not None else None,
                batch.visual.take(rows) if has_visual and batch.visual is not None else None,
            )


def check_choice(name: str, value: str, allowed: tuple[str, ...]) -> None:
    """Check that a value is one of the allowed ones.

    Raises:
        ConfigError: It is not.
    """
    if value not in allowed:
        raise ConfigError(f"{name}: got {value!r}, expected one of {', '.join(allowed)}")


class Baseline(System):
    """A system that VAVL is compared with, on the same features, masks and statistics.

    Args:
        shape: Task and widths.
        max_tokens: Longest sequence that it accepts; None accepts any length.
        **chosen: The value of every constructor keyword that `choices` explains.

    Attributes:
        choices: Decisions on what the paper and the baseline's own code leave open, in words. The key is a constructor
            keyword, or a topic if the decision is not a constructor keyword. Result pages print this text with the
            value from `chosen`.
        chosen: The value of each explained constructor keyword in this instance.
        shape: Task and widths.
        max_tokens: Longest sequence that it accepts, or None.
    """

    choices: ClassVar[Mapping[str, str]]

    def __init__(self, shape: Shape, *, max_tokens: int | None = None, **chosen: object) -> None:
        super().__init__()
        self.shape = shape
        self.task = shape.task
        self.chosen: Mapping[str, object] = chosen
        self.max_tokens = max_tokens
        self.audio_normalizer = FeatureNormalizer(shape.audio_dim)
        self.visual_normalizer = FeatureNormalizer(shape.visual_dim)

    def normalized(self, modality: Modality, sequences: Sequences) -> Tensor:
        """Check and normalise features.

        Args:
            modality: Their modality.
            sequences: The features, (N, T, F).

        Returns:
            Normalised features, zero in padding, shape (N, T, F).

        Raises:
            InvalidArrayError: The width differs from the one in `shape`, or the sequence is longer than `max_tokens`.
        """
        width = self.shape.audio_dim if modality == "audio" else self.shape.visual_dim
        features = sequences.features
        if features.ndim != 3 or features.shape[2] != width:
            raise InvalidArrayError(
                f"{modality} features: got shape {tuple(features.shape)}, expected (clips, tokens, {width}); "
                "build the system for the encoder that produced these features"
            )
        if self.max_tokens is not None and features.shape[1] > self.max_tokens:
            raise InvalidArrayError(
                f"{modality} features: got {features.shape[1]} tokens, {self.name} takes {self.max_tokens}; "
                "cut the clip or raise max_tokens"
            )
        normalizer = self.audio_normalizer if modality == "audio" else self.visual_normalizer
        return normalizer(features) * length_mask(sequences.lengths, features.shape[1])[:, :, None]

    def predictions(self, logits: Tensor) -> Tensor:
        """Turn logits (N, C) into probabilities, or return attributes (N, C) unchanged."""
        return torch.softmax(logits, dim=-1) if self.shape.task == "classification" else logits

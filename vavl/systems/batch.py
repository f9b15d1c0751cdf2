"""A mini-batch in which any clip may lack one modality.

Legend: B clips, B_m clips that have modality m, T tokens, F feature width, C classes or attributes.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from vavl.model import Modality


@dataclass(frozen=True)
class Sequences:
    """The features of the clips that have one modality.

    Attributes:
        features: Padded with zeros, float32, shape (B_m, T, F).
        lengths: Valid tokens, int64, shape (B_m,), each at least 1.
        rows: Which rows of the batch these are, ascending, int64, shape (B_m,).
    """

    features: Tensor
    lengths: Tensor
    rows: Tensor

    def take(self, rows: Tensor) -> "Sequences":
        """Select batch rows. All of them must be among `rows`; the result is in the order given."""
        at = torch.searchsorted(self.rows, rows)
        return Sequences(self.features[at], self.lengths[at], rows)

    def to(self, device: torch.device | str) -> "Sequences":
        """Copy to a device; see ``torch.Tensor.to``."""
        return Sequences(*(x.to(device, non_blocking=True) for x in (self.features, self.lengths, self.rows)))


@dataclass(frozen=True)
class Batch:
    """Clips to train on or to predict for.

    Attributes:
        audio: Audio features, or None if no clip has any.
        visual: Visual features, or None if no clip has any.
        target: Class shares, or attribute targets in [0, 1], float32, shape (B, C).
    """

    audio: Sequences | None
    visual: Sequences | None
    target: Tensor

    def __len__(self) -> int:
        return len(self.target)

    @property
    def paired_rows(self) -> Tensor:
        """Rows of the clips that have both modalities, ascending, int64."""
        if self.audio is None or self.visual is None:
            return torch.empty(0, dtype=torch.int64, device=self.target.device)
        return self.audio.rows[torch.isin(self.audio.rows, self.visual.rows)]

    def present(self) -> Iterator[tuple[Modality, Sequences]]:
        """The modalities that at least one clip has, with their features; audio first."""
        if self.audio is not None:
            yield "audio", self.audio
        if self.visual is not None:
            yield "visual", self.visual

    def to(self, device: torch.device | str) -> "Batch":
        """Copy to a device; see ``torch.Tensor.to``."""
        return Batch(
            self.audio.to(device) if self.audio else None,
            self.visual.to(device) if self.visual else None,
            self.target.to(device, non_blocking=True),
        )

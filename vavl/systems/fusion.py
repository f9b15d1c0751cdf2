"""The fusion of MulT and AuxFormer: each modality attends to the other, then to itself, then both are joined.

Legend: B clips, T tokens, d width, C classes or attributes.
"""

import torch
from torch import Tensor, nn

from vavl.systems.crossmodal import CrossModalEncoder, Tokens


class ResidualHead(nn.Module):
    """A residual module of two linear layers and a linear output."""

    def __init__(self, width: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.residual = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Dropout(dropout), nn.Linear(width, width))
        self.output = nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, width) to (B, outputs)."""
        return self.output(x + self.residual(x))


class CrossModalFusion(nn.Module):
    """Cross-modal encoders, memory encoders, and a head on their last valid steps.

    Args:
        width: Width d of a token.
        heads: Attention heads.
        layers: Layers of each of the four encoders.
        outputs: Classes or attributes, C.
        max_tokens: Longest sequence.
        memory_positions: Add position encodings in the memory encoders, too (MulT).
        memory_scalar: Learned residual weights in the memory encoders (AuxFormer).
        head_dropout: Dropout in the head.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        layers: int,
        outputs: int,
        max_tokens: int,
        *,
        memory_positions: bool,
        memory_scalar: bool,
        head_dropout: float,
    ) -> None:
        super().__init__()
        self.audio_on_visual = CrossModalEncoder(width, heads, layers, max_tokens, positions=True)
        self.visual_on_audio = CrossModalEncoder(width, heads, layers, max_tokens, positions=True)
        self.audio_memory, self.visual_memory = (
            CrossModalEncoder(
                width,
                heads,
                layers,
                max_tokens,
                positions=memory_positions,
                scalar=memory_scalar,
                attention_dropout=0.1,
            )
            for _ in range(2)
        )
        self.head = ResidualHead(2 * width, outputs, head_dropout)

    def crossed(self, audio: Tokens, visual: Tokens) -> tuple[Tokens, Tokens]:
        """Audio tokens that have attended to visual tokens, and visual tokens that have attended to audio tokens."""
        return self.audio_on_visual(audio, visual), self.visual_on_audio(visual, audio)

    def forward(self, audio: Tokens, visual: Tokens) -> Tensor:
        """Predict from both modalities of the same clips; returns logits (B, C)."""
        crossed_audio, crossed_visual = self.crossed(audio, visual)
        steps = [self.audio_memory(crossed_audio).last(), self.visual_memory(crossed_visual).last()]
        return self.head(torch.cat(steps, dim=-1))

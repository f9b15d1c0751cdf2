"""The cross-modal transformer encoder of MulT and AuxFormer, under length masks.

Re-implemented from a description of both codes. These ignore lengths: there the last step of a short clip is padding.
Legend: B clips, T tokens, d width, H heads; T_q and T_k tokens of the query and of the key modality.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vavl.errors import ConfigError


@dataclass(frozen=True)
class Tokens:
    """Embedded tokens of one modality.

    Attributes:
        values: Shape (B, T, d); values in padding are never read.
        lengths: Valid tokens, int64, shape (B,), each at least 1.
    """

    values: Tensor
    lengths: Tensor

    def last(self) -> Tensor:
        """The last valid token of every clip, (B, d)."""
        return self.values[torch.arange(len(self.lengths), device=self.lengths.device), self.lengths - 1]


def sinusoids(max_tokens: int, width: int) -> Tensor:
    """Position encodings as in fairseq: first half sines, second half cosines, positions counted from 1.

    Args:
        max_tokens: Longest sequence.
        width: Width of an encoding, even, at least 4.

    Returns:
        The table, float32, shape (max_tokens, width).
    """
    half = width // 2
    rate = torch.exp(torch.arange(half, dtype=torch.float64) * (-math.log(10000.0) / (half - 1)))
    angle = torch.arange(1, max_tokens + 1, dtype=torch.float64)[:, None] * rate
    return torch.cat([angle.sin(), angle.cos()], dim=1).float()


def visible_keys(query: Tokens, source: Tokens) -> Tensor:
    """The mask of both codes: query i sees the valid keys up to i + |T_q - T_k|, with the clip's own lengths.

    Key 0 is always visible, so no row is empty. The last query of a clip sees every key.

    Args:
        query: Tokens that attend.
        source: Tokens that are attended to.

    Returns:
        True where a key is visible, shape (B, 1, T_q, T_k).
    """
    at = torch.arange(query.values.shape[1], device=query.lengths.device)[None, :, None]
    key = torch.arange(source.values.shape[1], device=query.lengths.device)[None, None, :]
    reach = (query.lengths - source.lengths).abs()[:, None, None]
    return ((key <= at + reach) & (key < source.lengths[:, None, None]))[:, None]


class Attention(nn.Module):
    """Multi-head attention from a query to a source."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.output = nn.Linear(width, width)
        for layer in (self.query, self.key, self.value):
            nn.init.xavier_uniform_(layer.weight, gain=2**-0.5)  # the bound that one (3d, d) matrix would have
        nn.init.xavier_uniform_(self.output.weight)
        for layer in (self.query, self.key, self.value, self.output):
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor, source: Tensor, visible: Tensor) -> Tensor:
        """Attend from x (B, T_q, d) to source (B, T_k, d) where visible (B, 1, T_q, T_k); returns (B, T_q, d)."""
        query, key, value = (
            projected.unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (B, H, T, d/H)
            for projected in (self.query(x), self.key(source), self.value(source))
        )
        mixed = nn.functional.scaled_dot_product_attention(
            query, key, value, attn_mask=visible, dropout_p=self.dropout if self.training else 0.0
        )
        return self.output(mixed.transpose(1, 2).flatten(2))


class Layer(nn.Module):
    """Attention and a feed-forward module, both pre-norm and residual.

    Args:
        width: Width d of a token.
        heads: Attention heads.
        attention_dropout: Dropout on attention weights.
        dropout: Dropout inside the feed-forward module and after both modules.
        scalar: Weight residual and module by α and 1 - α, with one learned α per layer (AuxFormer).
    """

    def __init__(self, width: int, heads: int, attention_dropout: float, dropout: float, scalar: bool) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = Attention(width, heads, attention_dropout)
        self.dropout = nn.Dropout(dropout)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, 4 * width),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(4 * width, width),
            nn.Dropout(dropout),
        )
        self.alpha = nn.Parameter(torch.rand(())) if scalar else None
        for layer in self.feed_forward:
            if isinstance(layer, nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
                nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor, source: Tensor | None, visible: Tensor) -> Tensor:
        """Transform x (B, T_q, d), which attends to a source (B, T_k, d), or to itself if source is None."""
        normed = self.attention_norm(x)
        keys = normed if source is None else self.attention_norm(source)  # query and keys share one norm
        x = self._add(x, self.dropout(self.attention(normed, keys, visible)))
        return self._add(x, self.feed_forward(x))

    def _add(self, x: Tensor, change: Tensor) -> Tensor:
        return x + change if self.alpha is None else self.alpha * x + (1.0 - self.alpha) * change


class CrossModalEncoder(nn.Module):
    """A stack of layers in which one modality attends to another, or to itself.

    Args:
        width: Width d of a token, even.
        heads: Attention heads.
        layers: Number of layers.
        max_tokens: Longest sequence.
        positions: Add position encodings.
        scalar: Learned weights of the residuals (AuxFormer's memory encoders).
        attention_dropout: Dropout on attention weights.
        dropout: Dropout inside the layers.
        embedding_dropout: Dropout on the embedded tokens.

    Raises:
        ConfigError: The width is odd, below 4, or not a multiple of the heads.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        layers: int,
        max_tokens: int,
        *,
        positions: bool,
        scalar: bool = False,
        attention_dropout: float = 0.0,
        dropout: float = 0.1,
        embedding_dropout: float = 0.25,
    ) -> None:
        super().__init__()
        if width % 2 or width < 4 or width % heads:
            raise ConfigError(f"width {width} must be even, at least 4 and a multiple of heads ({heads})")
        self.scale = math.sqrt(width)
        self.embedding_dropout = nn.Dropout(embedding_dropout)
        self.layers = nn.ModuleList(Layer(width, heads, attention_dropout, dropout, scalar) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        # Derived from the sizes, so not stored in checkpoints.
        self.register_buffer("positions", sinusoids(max_tokens, width) if positions else None, persistent=False)

    def forward(self, query: Tokens, source: Tokens | None = None) -> Tokens:
        """Encode.

        Args:
            query: Tokens (B, T_q, d).
            source: Tokens (B, T_k, d) that every layer attends to; None lets the query attend to itself.

        Returns:
            Tokens (B, T_q, d), as long as the query.
        """
        visible = visible_keys(query, query if source is None else source)
        keys = None if source is None else self._embed(source.values)
        x = self._embed(query.values)
        for layer in self.layers:
            x = layer(x, keys, visible)
        return Tokens(self.norm(x), query.lengths)

    def _embed(self, values: Tensor) -> Tensor:
        x = self.scale * values
        if self.positions is not None:
            # As in both codes, a token whose first channel is exactly 0 gets no position. So the zeros that stand for a
            # missing modality carry no information, not even their length.
            x = x + self.positions[: values.shape[1]] * (values[:, :, :1] != 0)
        return self.embedding_dropout(x)

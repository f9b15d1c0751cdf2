"""Multi-head self-attention with relative positions (Transformer-XL), masked over padding."""

import math

import torch
from torch import Tensor, nn


def relative_positions(max_tokens: int, width: int) -> Tensor:
    """Sinusoids for the distances ``max_tokens - 1 … -(max_tokens - 1)`` between query and key.

    A table of 2L - 1 distances; the released code uses L absolute rows instead (D7).

    Args:
        max_tokens: Longest sequence.
        width: Width of an encoding, even; sine and cosine interleaved.

    Returns:
        The table, float32, shape (2 * max_tokens - 1, width).
    """
    distance = torch.arange(max_tokens - 1, -max_tokens, -1, dtype=torch.float64)[:, None]
    rate = torch.exp(torch.arange(0, width, 2, dtype=torch.float64) * (-math.log(10000.0) / width))
    table = torch.stack([torch.sin(distance * rate), torch.cos(distance * rate)], dim=-1)
    return table.reshape(2 * max_tokens - 1, width).float()


def shift_relative(scores: Tensor) -> Tensor:
    """Align scores over distances with keys, by padding and reshaping (no gather, so TensorRT fuses it).

    Args:
        scores: Query against distance T-1 … -(T-1), shape (B, H, T, 2T-1).

    Returns:
        Query against key, shape (B, H, T, T).
    """
    batch, heads, length, _ = scores.shape
    padded = nn.functional.pad(scores, (1, 0))  # (B, H, T, 2T)
    skewed = padded.reshape(batch, heads, 2 * length, length)[:, :, 1:]  # (B, H, 2T-1, T)
    return skewed.reshape(batch, heads, length, 2 * length - 1)[:, :, :, :length]


class RelativeSelfAttention(nn.Module):
    """Self-attention whose scores add content and relative-position terms, scaled by 1/sqrt(width/heads).

    Legend: B clips, T tokens, D width, H heads.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.position = nn.Linear(width, width, bias=False)
        self.output = nn.Linear(width, width)
        self.content_bias = nn.Parameter(torch.zeros(heads, width // heads))
        self.position_bias = nn.Parameter(torch.zeros(heads, width // heads))
        self.dropout = nn.Dropout(dropout)

    def _split(self, x: Tensor) -> Tensor:
        return x.reshape(x.shape[0], x.shape[1], self.heads, -1)

    def forward(self, x: Tensor, positions: Tensor, bias: Tensor) -> Tensor:
        """Attend over time.

        Args:
            x: Tokens, shape (B, T, D).
            positions: Encodings of the distances T-1 … -(T-1), shape (2T-1, D).
            bias: Additive mask over keys, shape (B, 1, 1, T).

        Returns:
            Tokens, shape (B, T, D).
        """
        value = self.value(x)
        if isinstance(x.shape[1], int) and x.shape[1] == 1:
            # Softmax over a single key is 1 for any score. The released layout always has one key (D1).
            return self.output(value)
        # TensorRT's fused attention needs the queries scaled before the products.
        query = self._split(self.query(x))  # (B, T, H, D/H)
        scale = query.shape[-1] ** -0.5
        content = ((query + self.content_bias) * scale).transpose(1, 2)  # (B, H, T, D/H)
        position = ((query + self.position_bias) * scale).transpose(1, 2)
        key = self._split(self.key(x)).permute(0, 2, 3, 1)  # (B, H, D/H, T)
        distance = self._split(self.position(positions)[None]).permute(0, 2, 3, 1)  # (1, H, D/H, 2T-1)
        scores = content @ key + (shift_relative(position @ distance) + bias)
        attention = self.dropout(torch.softmax(scores, dim=-1))
        mixed = attention @ self._split(value).transpose(1, 2)  # (B, H, T, D/H)
        return self.output(mixed.transpose(1, 2).flatten(2))

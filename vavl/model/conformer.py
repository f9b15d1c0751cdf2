"""The conformer encoder: half-step feed-forward, attention, convolution, half-step feed-forward, norm.

Swish, GLU, BatchNorm, kernel 31 and the fourfold feed-forward are taken from the released code (D10); the paper gives
no details of the conformer.
"""

from torch import Tensor, nn

from vavl.model.attention import RelativeSelfAttention, relative_positions
from vavl.model.masking import MaskedBatchNorm, attention_bias


class FeedForward(nn.Sequential):
    """LayerNorm, linear to ``mult`` x width, Swish, linear back."""

    def __init__(self, width: int, mult: int, dropout: float) -> None:
        super().__init__(
            nn.LayerNorm(width),
            nn.Linear(width, mult * width),
            nn.SiLU(),
            nn.Dropout(dropout),
            nn.Linear(mult * width, width),
            nn.Dropout(dropout),
        )


class ConvolutionModule(nn.Module):
    """LayerNorm, pointwise + GLU, depthwise convolution over time, BatchNorm, Swish, pointwise."""

    def __init__(self, width: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, 2 * width)
        self.depthwise = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width, bias=False)
        self.batch_norm = MaskedBatchNorm(width)
        self.activation = nn.SiLU()
        self.project = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Mix neighbouring tokens.

        Args:
            x: Tokens, shape (B, T, D).
            mask: Length mask, shape (B, T); padding is zeroed before the convolution.

        Returns:
            Tokens, shape (B, T, D).
        """
        x = nn.functional.glu(self.expand(self.norm(x)), dim=-1) * mask[:, :, None]
        x = self.depthwise(x.transpose(1, 2)).transpose(1, 2)
        x = self.activation(self.batch_norm(x, mask))
        return self.dropout(self.project(x))


class ConformerBlock(nn.Module):
    """One conformer block, pre-norm, with a LayerNorm at its end."""

    def __init__(self, width: int, heads: int, mult: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.feed_forward_in = FeedForward(width, mult, dropout)
        self.attention_norm = nn.LayerNorm(width)
        self.attention = RelativeSelfAttention(width, heads, dropout)
        self.attention_dropout = nn.Dropout(dropout)
        self.convolution = ConvolutionModule(width, kernel, dropout)
        self.feed_forward_out = FeedForward(width, mult, dropout)
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, mask: Tensor, positions: Tensor, bias: Tensor) -> Tensor:
        """Transform tokens (B, T, D) into tokens (B, T, D); see `Conformer` for the other arguments."""
        x = x + 0.5 * self.feed_forward_in(x)
        x = x + self.attention_dropout(self.attention(self.attention_norm(x), positions, bias))
        x = x + self.convolution(x, mask)
        x = x + 0.5 * self.feed_forward_out(x)
        return self.norm(x)


class Conformer(nn.Module):
    """A stack of conformer blocks over time.

    Args:
        layers: Number of blocks.
        width: Width D of a token.
        heads: Attention heads.
        mult: Feed-forward expansion.
        kernel: Taps of the depthwise convolution.
        dropout: Dropout probability.
        max_tokens: Longest sequence.
    """

    def __init__(
        self, layers: int, width: int, heads: int, mult: int, kernel: int, dropout: float, max_tokens: int
    ) -> None:
        super().__init__()
        self.max_tokens = max_tokens
        self.blocks = nn.ModuleList(ConformerBlock(width, heads, mult, kernel, dropout) for _ in range(layers))
        # Derived from the sizes, so not stored in checkpoints: the released files hold eight copies, 164 MB.
        self.register_buffer("positions", relative_positions(max_tokens, width), persistent=False)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Encode.

        Args:
            x: Tokens, float32, shape (B, T, D) with T <= max_tokens.
            mask: Length mask, shape (B, T).

        Returns:
            Tokens, shape (B, T, D); values at padded positions are undefined.
        """
        length = x.shape[1]
        positions = self.positions[self.max_tokens - length : self.max_tokens + length - 1]  # (2T-1, D)
        bias = attention_bias(mask)
        for block in self.blocks:
            x = block(x, mask, positions, bias)
        return x

"""Length masks: they make a clip's result independent of padding and of the other clips in the batch (D4)."""

import torch
from torch import Tensor, nn

STILL = 0.01  # standard deviations; smaller movements are jitter of the landmarks


def length_mask(lengths: Tensor, size: int | torch.SymInt) -> Tensor:
    """Mark the valid tokens of each clip.

    Args:
        lengths: Valid tokens of each clip, int64, shape (B,).
        size: Padded length T.

    Returns:
        1.0 where a token is valid and 0.0 where it is padding, float32, shape (B, T).
    """
    return (torch.arange(size, device=lengths.device)[None, :] < lengths[:, None]).float()


def attention_bias(mask: Tensor) -> Tensor:
    """Turn a length mask into an additive attention bias.

    -1e4 is finite in half precision, too, and far below any real score, so ``exp`` gives exactly 0.

    Args:
        mask: Length mask, shape (B, T).

    Returns:
        0 for valid keys and -1e4 for padding, shape (B, 1, 1, T).
    """
    return ((mask - 1.0) * 1e4)[:, None, None, :]


def masked_mean(x: Tensor, mask: Tensor) -> Tensor:
    """Average over the valid tokens.

    Args:
        x: Tokens, shape (B, T, D).
        mask: Length mask, shape (B, T), with at least one valid token per clip.

    Returns:
        The mean over time, shape (B, D).
    """
    weights = mask[:, :, None]
    return (x * weights).sum(dim=1) / weights.sum(dim=1)


def masked_pool(x: Tensor, mask: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Average groups of neighbouring tokens, over the valid tokens of each group.

    Args:
        x: Tokens, shape (B, T, F).
        mask: Length mask, shape (B, T).
        size: Tokens per group; the last group may be smaller.

    Returns:
        Means, shape (B, ceil(T / size), F), zero where a group has no valid token, and the mask of the groups.
    """
    share = nn.functional.avg_pool1d(mask[:, None], size, ceil_mode=True).transpose(1, 2)  # (B, T', 1)
    total = nn.functional.avg_pool1d((x * mask[:, :, None]).transpose(1, 2), size, ceil_mode=True).transpose(1, 2)
    valid = (share > 0).float()
    return total / (share + (1.0 - valid)), valid[:, :, 0]


def with_spread(x: Tensor, mask: Tensor) -> Tensor:
    """Append to each feature how far it moves from its mean during the clip; these values are equal in every token.

    Args:
        x: Tokens, shape (B, T, F).
        mask: Length mask, shape (B, T).

    Returns:
        Shape (B, T, 2F): the features, and the log of their mean distance from their mean over time.
    """
    return _with_movement(x, _distance(x, mask), mask)


def with_dynamics(x: Tensor, mask: Tensor) -> Tensor:
    """Append to each feature its spread and its change; these values are equal in every token.

    Args:
        x: Tokens, shape (B, T, F).
        mask: Length mask, shape (B, T).

    Returns:
        Shape (B, T, 3F): the features; the log of their mean distance from their mean over time; and the log of their
        mean change from one token to the next (0 for the first token).
    """
    change = nn.functional.pad((x[:, 1:] - x[:, :-1]).abs(), (0, 0, 1, 0))
    return _with_movement(x, torch.cat([_distance(x, mask), change], dim=2), mask)


def _distance(x: Tensor, mask: Tensor) -> Tensor:
    return (x - masked_mean(x, mask)[:, None]).abs()


def _with_movement(x: Tensor, movement: Tensor, mask: Tensor) -> Tensor:
    # People differ by a factor in how much they move; logs turn the factor into an offset.
    mean = torch.log(masked_mean(movement, mask) + STILL)
    return torch.cat([x, mean[:, None].expand(-1, x.shape[1], -1)], dim=2)


class MaskedBatchNorm(nn.BatchNorm1d):
    """BatchNorm over channels; its training statistics use valid tokens only (D4).

    Parameters and evaluation are those of ``nn.BatchNorm1d``, but channels are last.
    """

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Normalise each channel.

        Args:
            x: Tokens, shape (B, T, D).
            mask: Length mask, shape (B, T).

        Returns:
            Normalised tokens, shape (B, T, D).
        """
        if not self.training:
            scale = self.weight * torch.rsqrt(self.running_var + self.eps)
            return x * scale + (self.bias - self.running_mean * scale)
        weights = mask[:, :, None]
        count = weights.sum()
        mean = (x * weights).sum(dim=(0, 1)) / count
        variance = ((x - mean).square() * weights).sum(dim=(0, 1)) / count
        with torch.no_grad():
            unbiased = variance * count / (count - 1).clamp(min=1)
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(unbiased, self.momentum)
            self.num_batches_tracked.add_(1)
        return (x - mean) * torch.rsqrt(variance + self.eps) * self.weight + self.bias

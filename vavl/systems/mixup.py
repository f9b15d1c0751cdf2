"""The augmentation of UAVM's recipe: mixup of clips and circular shifts in time, on pooled tokens."""

import torch
from torch import Tensor

MIXED = 0.5  # share of clips that are mixed with another
CONCENTRATION = 10.0  # of the Beta distribution of the shares
LARGEST_SHIFT = 15  # tokens
LABEL_SMOOTHING = 0.1


def mix_and_shift(tokens: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Mix clips with others of their batch, targets alike, and shift each in time.

    Everything is drawn from PyTorch's global generator on the CPU, so that a seed gives the same on any device.

    Args:
        tokens: Tokens of one modality, shape (N, L, F).
        target: Their targets, shape (N, C).

    Returns:
        New tokens and targets, of the same shapes.
    """
    clips, length, _ = tokens.shape
    share = torch.distributions.Beta(CONCENTRATION, CONCENTRATION).sample((clips, 1, 1))
    share = torch.where(torch.rand(clips, 1, 1) < MIXED, share, 1.0).to(tokens)
    partner = torch.randperm(clips).to(tokens.device)
    shift = torch.randint(-LARGEST_SHIFT, LARGEST_SHIFT + 1, (clips, 1))
    source = ((torch.arange(length) - shift) % length).to(tokens.device)  # (N, L)
    mixed = share * tokens + (1.0 - share) * tokens[partner]
    shifted = mixed.take_along_dim(source[:, :, None], dim=1)
    return shifted, share[:, 0] * target + (1.0 - share[:, 0]) * target[partner]

"""The augmentation of UAVM's recipe: mixup of clips and circular shifts in time, applied to pooled tokens."""

import torch
from torch import Tensor

MIXED = 0.5  # share of clips that are mixed with another clip
CONCENTRATION = 10.0  # of the Beta distribution of the shares
LARGEST_SHIFT = 15  # tokens
LABEL_SMOOTHING = 0.1


def mix_and_shift(tokens: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Mix clips and their targets with other clips of the batch, and shift each clip in time.

    All random numbers come from PyTorch's global generator on the CPU, so a seed gives the same result on any device.

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

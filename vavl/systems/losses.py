"""Losses of the paper (§4.4): cross-entropy for classes, concordance for attributes.

Legend: B clips, C classes or attributes.
"""

import torch
from torch import Tensor

from vavl.config import Task

EPSILON = 1e-8


def task_loss(task: Task, logits: Tensor, target: Tensor) -> Tensor:
    """The loss of a task.

    Args:
        task: ``classification`` takes cross-entropy with the class that has most votes (D17), averaged over clips;
            ``regression`` takes 1 - CCC over the batch, summed over attributes (D21).
        logits: Network outputs, (B, C).
        target: Class shares, or attribute targets in [0, 1], (B, C).

    Returns:
        A scalar.
    """
    if task == "classification":
        return torch.nn.functional.cross_entropy(logits.float(), target.argmax(dim=-1))
    return concordance_loss(logits, target)


def concordance_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """Sum over attributes of 1 - CCC over the batch; finite, with finite gradients, for any batch.

    If prediction and target are both constant over the batch, CCC is 0/0. The squared distance of the means is part of
    the denominator and ``EPSILON`` keeps it positive, so the loss is then 1 per attribute and its gradient 0. One clip
    is always constant; it takes the squared error instead, so that training still learns from a last batch of one.

    Args:
        prediction: (B, C).
        target: (B, C).

    Returns:
        A scalar in [0, 2C] for two clips or more.
    """
    prediction, target = prediction.float(), target.float()
    if len(prediction) == 1:
        return (prediction - target).square().sum()
    predicted_mean, target_mean = prediction.mean(dim=0), target.mean(dim=0)
    predicted, expected = prediction - predicted_mean, target - target_mean
    covariance = (predicted * expected).mean(dim=0)
    spread = predicted.square().mean(dim=0) + expected.square().mean(dim=0)
    concordance = 2.0 * covariance / (spread + (predicted_mean - target_mean).square() + EPSILON)
    return (1.0 - concordance).sum()

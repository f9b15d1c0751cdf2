"""Losses of the paper (§4.4): cross-entropy for classes, concordance for attributes.

Legend: B clips, C classes or attributes.
"""

import torch
from torch import Tensor

from vavl.config import Task

EPSILON = 1e-8


def task_loss(task: Task, logits: Tensor, target: Tensor) -> Tensor:
    """The loss of a prediction.

    Args:
        task: ``classification``: cross-entropy with the most voted class (D17), averaged over clips;
            ``regression``: the sum over attributes of 1 - CCC over the batch (D21).
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

    A batch in which prediction and target are both constant carries no correlation: there CCC is 0/0. The
    squared distance of the means stays in the denominator and ``EPSILON`` keeps it positive, so the loss is 1 an
    attribute, with gradient 0 where nothing can be learned. One clip is such a batch; it is given the squared error
    instead, so that a last batch of one still teaches.

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

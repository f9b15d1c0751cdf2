"""Arithmetic on boxes: overlap, suppression, squares. Boxes are (x1, y1, x2, y2) in pixels, float32, shape (N, 4)."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.float32]


def overlap(
    boxes: Boxes, others: Boxes, *, over: Literal["union", "smaller"] = "union", border: float = 0.0
) -> NDArray[np.float32]:
    """Overlap of every box with every other.

    Args:
        boxes: Boxes, shape (N, 4).
        others: Boxes, shape (M, 4).
        over: What the intersection is divided by.
        border: Added to every width and height; 1 counts pixels inclusively.

    Returns:
        Ratios, shape (N, M).
    """
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    size = np.maximum(high - low + border, 0.0)
    intersection = size[..., 0] * size[..., 1]
    area = (boxes[:, 2:] - boxes[:, :2] + border).prod(axis=1)[:, None]
    areas = (others[:, 2:] - others[:, :2] + border).prod(axis=1)[None]
    whole = np.minimum(area, areas) if over == "smaller" else area + areas - intersection
    ratios: NDArray[np.float32] = intersection / np.maximum(whole, np.float32(1e-9))
    return ratios


def suppress(
    boxes: Boxes,
    scores: NDArray[np.float32],
    threshold: float,
    *,
    over: Literal["union", "smaller"] = "union",
    border: float = 0.0,
) -> NDArray[np.intp]:
    """Greedy non-maximum suppression.

    Args:
        boxes: Candidates, shape (N, 4).
        scores: Their scores, shape (N,).
        threshold: A candidate that overlaps a better one by more is dropped.
        over: See `overlap`.
        border: See `overlap`.

    Returns:
        Indices of the kept boxes, best first.
    """
    order = np.argsort(-scores, kind="stable")
    ranked = boxes[order]
    covered = overlap(ranked, ranked, over=over, border=border) > threshold
    alive = np.ones(len(order), dtype=bool)
    for rank in range(len(order)):
        if alive[rank]:
            alive[rank + 1 :] &= ~covered[rank, rank + 1 :]
    return order[alive]


def to_squares(boxes: Boxes) -> Boxes:
    """Grow each box about its centre to a square with the longer side."""
    size = boxes[:, 2:] - boxes[:, :2]
    side = size.max(axis=1, keepdims=True)
    corner = boxes[:, :2] + 0.5 * size - 0.5 * side
    return np.concatenate([corner, corner + side], axis=1)

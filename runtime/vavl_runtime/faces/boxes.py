"""Arithmetic on boxes: overlap, suppression, squares. Boxes are (x1, y1, x2, y2) in pixels, float32, shape (N, 4)."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.float32]

# Suppression compares boxes in pairs. Damaged weights, or pictures made for it, make every cell of a picture a face.
MAX_CANDIDATES = 5_000
_BLOCK = 256  # boxes compared with all others at once


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
        Indices of the kept boxes, best first. Only the best `MAX_CANDIDATES` are looked at.
    """
    order = np.argsort(-scores, kind="stable")[:MAX_CANDIDATES]
    ranked = boxes[order]
    kept = [order[:0]]
    left = np.arange(len(order))
    while len(left):
        block, rest = left[:_BLOCK], left[_BLOCK:]
        covered = overlap(ranked[block], ranked[left], over=over, border=border) > threshold
        alive = np.ones(len(block), dtype=bool)
        for rank in range(len(block)):
            if alive[rank]:
                alive[rank + 1 :] &= ~covered[rank, rank + 1 : len(block)]
        kept.append(order[block[alive]])
        left = rest[~covered[alive, len(block) :].any(axis=0)]
    return np.concatenate(kept)


def to_squares(boxes: Boxes) -> Boxes:
    """Grow each box about its centre to a square with the longer side."""
    size = boxes[:, 2:] - boxes[:, :2]
    side = size.max(axis=1, keepdims=True)
    corner = boxes[:, :2] + 0.5 * size - 0.5 * side
    return np.concatenate([corner, corner + side], axis=1)

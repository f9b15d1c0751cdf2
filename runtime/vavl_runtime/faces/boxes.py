"""Arithmetic on boxes: overlap, suppression, squares. Boxes are (x1, y1, x2, y2) in pixels, float32, shape (N, 4)."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.float32]


def overlap(box: Boxes, others: Boxes, *, over: Literal["union", "smaller"] = "union", border: float = 0.0) -> Boxes:
    """Overlap of one box with others.

    Args:
        box: One box, shape (4,).
        others: Boxes, shape (N, 4).
        over: What the intersection is divided by.
        border: Added to every width and height; 1 counts pixels inclusively.

    Returns:
        Ratios, shape (N,).
    """
    low = np.maximum(box[:2], others[:, :2])
    high = np.minimum(box[2:], others[:, 2:])
    intersection = np.maximum(high - low + border, 0.0).prod(axis=1)
    area = (box[2:] - box[:2] + border).prod()
    areas = (others[:, 2:] - others[:, :2] + border).prod(axis=1)
    whole = np.minimum(area, areas) if over == "smaller" else area + areas - intersection
    ratio: Boxes = intersection / np.maximum(whole, np.float32(1e-9))
    return ratio


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
    remaining = np.argsort(-scores, kind="stable")
    kept = []
    while remaining.size:
        best, remaining = remaining[0], remaining[1:]
        kept.append(best)
        ratios = overlap(boxes[best], boxes[remaining], over=over, border=border)
        remaining = remaining[ratios <= threshold]
    return np.array(kept, dtype=np.intp)


def to_squares(boxes: Boxes) -> Boxes:
    """Grow each box about its centre to a square with the longer side."""
    size = boxes[:, 2:] - boxes[:, :2]
    side = size.max(axis=1, keepdims=True)
    corner = boxes[:, :2] + 0.5 * size - 0.5 * side
    return np.concatenate([corner, corner + side], axis=1)

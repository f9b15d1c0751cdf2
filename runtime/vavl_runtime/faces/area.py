"""Area resampling of boxes of an image, many at once, exact through one summed-area table.

Output pixel i of n covers input pixels floor(i·w/n) up to ceil((i+1)·w/n), as in adaptive average pooling.
"""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.intp]
Sums = NDArray[np.uint32]


class AreaSampler:
    """Averages over rectangles of one image.

    Args:
        image: RGB, uint8, shape (H, W, 3).
    """

    def __init__(self, image: NDArray[np.uint8]) -> None:
        height, width, _ = image.shape
        # Sums wrap around at 2^32, which subtraction undoes: no box holds more than 2^24 pixels of 255.
        table = np.zeros((height + 1, width + 1, 3), np.uint32)
        # Copy first, then add whole rows: cumsum takes more than twice as long if it also converts the type, and 1.5
        # times as long along columns.
        table[1:, 1:] = image
        np.cumsum(table, axis=1, out=table)
        for above, row in pairwise(table):
            row += above
        self._table = table
        self.height = height
        self.width = width

    def resize(self, height: int, width: int) -> NDArray[np.float32]:
        """Resample the whole image.

        Args:
            height: Rows wanted.
            width: Columns wanted.

        Returns:
            Means in 0..255, float32, shape (height, width, 3).
        """
        (top,), (bottom,) = _cells(np.array([0]), np.array([self.height]), height)
        (left,), (right,) = _cells(np.array([0]), np.array([self.width]), width)
        rows = np.take(self._table, bottom, axis=0)  # np.take is faster: indexing copies the three channels one by one
        rows -= np.take(self._table, top, axis=0)
        sums = np.take(rows, right, axis=1)
        sums -= np.take(rows, left, axis=1)
        return _means(sums, (bottom - top)[:, None] * (right - left))

    def crops(self, left: Ints, top: Ints, right: Ints, bottom: Ints, size: int) -> NDArray[np.float32]:
        """Resample rectangles of the image to squares.

        Args:
            left: First columns, shape (N,).
            top: First rows, shape (N,).
            right: Columns after the last, greater than ``left``.
            bottom: Rows after the last, greater than ``top``.
            size: Side of a square.

        Returns:
            Means in 0..255, float32, shape (N, size, size, 3).
        """
        upper, lower = _cells(top, bottom, size)
        first, last = _cells(left, right, size)
        pixels = self._table.reshape(-1, 3)

        def corner(rows: Ints, columns: Ints) -> Sums:
            places = rows[:, :, None] * (self.width + 1) + columns[:, None, :]
            found: Sums = np.take(pixels, places, axis=0)
            return found

        sums = corner(lower, last)
        sums -= corner(upper, last)
        sums -= corner(lower, first)
        sums += corner(upper, first)
        return _means(sums, (lower - upper)[:, :, None] * (last - first)[:, None, :])


def _means(sums: Sums, area: Ints) -> NDArray[np.float32]:
    return np.divide(sums, area[..., None], dtype=np.float32, casting="unsafe")


def _cells(start: Ints, end: Ints, count: int) -> tuple[Ints, Ints]:
    """Split each interval into ``count`` cells; returns their first and past-the-last positions, (N, count)."""
    index = np.arange(count)
    length = (end - start)[:, None]
    first = start[:, None] + index * length // count
    last = start[:, None] + -(-(index + 1) * length // count)
    return first, last

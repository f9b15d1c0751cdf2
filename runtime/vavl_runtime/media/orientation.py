"""Turns and mirrors pictures as their display matrix says, which also carries the orientation of EXIF.

The angle that PyAV gives for a frame (``frame.rotation``) leaves mirroring out, so the matrix itself is read.
"""

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from vavl_runtime.media.areas import Area
from vavl_runtime.media.side_data import side_data

Scalar = TypeVar("Scalar", bound=np.generic)
Matrix = tuple[int, int, int, int]  # x' = a x + c y, y' = b x + d y; as (a, b, c, d)

UPRIGHT: Matrix = (1, 0, 0, 1)


def display_matrix(frame: Any) -> Matrix:
    """Read how a frame is to be turned and mirrored.

    Args:
        frame: PyAV's frame.

    Returns:
        The signs of the linear part of its display matrix, a multiple of a right angle: other angles become the
        nearest one. `UPRIGHT` if the frame has none.
    """
    data = side_data(frame).get("DISPLAYMATRIX")
    return UPRIGHT if data is None else nearest(np.frombuffer(bytes(data), "=i4"))


def nearest(matrix: NDArray[np.int32]) -> Matrix:
    """Find the multiple of a right angle that is nearest to a display matrix.

    Args:
        matrix: As FFmpeg gives it, 16.16 fixed point, row by row, shape (9,).

    Returns:
        The signs of its linear part. `UPRIGHT` for a matrix of zeros.
    """
    a, b, _, c, d = (int(value) for value in matrix[:5])
    if a == b == c == d == 0:
        return UPRIGHT
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return (_sign(a), 0, 0, _sign(d))
    return (0, _sign(b), _sign(c), 0)


def orient(pixels: NDArray[Scalar], matrix: Matrix) -> NDArray[Scalar]:
    """Turn and mirror a picture.

    Args:
        pixels: Shape (H, W, C).
        matrix: As from `display_matrix`.

    Returns:
        The picture as it is shown, contiguous, shape (H, W, C) or (W, H, C).
    """
    a, b, c, d = matrix
    if b:
        pixels = pixels.swapaxes(0, 1)
    across, down = (c, b) if b else (a, d)
    return np.ascontiguousarray(pixels[::down, ::across])


def stored_area(area: Area, matrix: Matrix, width: int, height: int) -> Area:
    """Find the area of a stored picture that `orient` makes an area of the shown one.

    Args:
        area: Within the shown picture.
        matrix: As from `display_matrix`.
        width: Of the stored picture, pixels.
        height: Of the stored picture, pixels.

    Returns:
        The area within the stored picture.
    """
    a, b, c, d = matrix
    left, top, right, bottom = area.left, area.top, area.right, area.bottom
    across, down = (c, b) if b else (a, d)
    if b:
        width, height = height, width
    if across < 0:
        left, right = width - right, width - left
    if down < 0:
        top, bottom = height - bottom, height - top
    return Area(top, left, bottom, right) if b else Area(left, top, right, bottom)


def _sign(value: int) -> int:
    return -1 if value < 0 else 1

"""Cutting a face out of a frame."""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vavl_runtime.bundle.manifest import CropRecipe
from vavl_runtime.faces.boxes import Boxes
from vavl_runtime.media import Frame


def crop_face(frame: Frame, box: Boxes, recipe: CropRecipe) -> NDArray[np.uint8]:
    """Cut out a square around a face and scale it.

    The square has the longer side of the box times ``1 + margin``, is moved inside the frame where it reaches
    over an edge, and is no larger than the frame.

    Args:
        frame: The picture; only the area around the face is looked at.
        box: Face box, shape (4,).
        recipe: Size and margin.

    Returns:
        RGB, uint8, shape (size, size, 3).
    """
    height, width = frame.size
    side = min(float((box[2:] - box[:2]).max()) * (1.0 + recipe.margin), float(height), float(width))
    side = max(side, 1.0)
    left = min(max(float(box[0] + box[2]) / 2 - side / 2, 0.0), width - side)
    top = min(max(float(box[1] + box[3]) / 2 - side / 2, 0.0), height - side)
    # The filter reads beyond the square by the width of one output pixel; the rest of the frame is not needed.
    reach = math.ceil(side / recipe.size) + 1
    x, y = max(math.floor(left) - reach, 0), max(math.floor(top) - reach, 0)
    part = frame.area(x, y, math.ceil(left + side) + reach, math.ceil(top + side) + reach)
    square = (left - x, top - y, min(left - x + side, part.shape[1]), min(top - y + side, part.shape[0]))
    size = (recipe.size, recipe.size)
    return np.asarray(Image.fromarray(part).resize(size, Image.Resampling.BILINEAR, box=square))

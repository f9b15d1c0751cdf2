"""Parts of a picture as the detector is shown them: reduced, evenly lit, with a border beyond the edges."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from vavl_runtime.bundle.manifest import CropRecipe
from vavl_runtime.faces.boxes import suppress
from vavl_runtime.faces.mtcnn import Faces

GREY = 127  # of a border


@dataclass(frozen=True)
class View:
    """How a picture is looked at.

    Attributes:
        divisor: Its sides are divided by this whole number.
        border: Width of a grey border around it, as a share of its shorter side.
        even: Spread its brightness evenly from black to white, without colours.
    """

    divisor: int
    border: float = 0.0
    even: bool = False


@dataclass(frozen=True)
class Window:
    """A part of a picture in a view, in the view's pixels; may reach over the edges."""

    left: int
    top: int
    right: int
    bottom: int

    def within(self, other: "Window") -> "Window":
        """What both show; `empty` if they have nothing in common."""
        return Window(
            max(self.left, other.left),
            max(self.top, other.top),
            min(self.right, other.right),
            min(self.bottom, other.bottom),
        )

    @property
    def empty(self) -> bool:
        """Whether it shows nothing."""
        return self.right <= self.left or self.bottom <= self.top


def plain_view(pixels: NDArray[np.uint8], recipe: CropRecipe) -> View:
    """The view that a picture of shape (H, W, 3) is searched in first: no side longer than the recipe says."""
    return View(-(-max(pixels.shape[:2]) // recipe.detect_max_side))


def whole_window(pixels: NDArray[np.uint8], view: View) -> Window:
    """The window that shows a picture of shape (H, W, 3) with its border."""
    picture = _picture(pixels, view)
    border = round(view.border * min(picture.right, picture.bottom))
    return Window(-border, -border, picture.right + border, picture.bottom + border)


def shows_picture(window: Window, pixels: NDArray[np.uint8], view: View) -> bool:
    """Whether a window shows anything but border."""
    return not window.within(_picture(pixels, view)).empty


def _picture(pixels: NDArray[np.uint8], view: View) -> Window:
    height, width = (-(-side // view.divisor) for side in pixels.shape[:2])
    return Window(0, 0, width, height)


def shown(pixels: NDArray[np.uint8], view: View, window: Window) -> NDArray[np.uint8]:
    """Make the picture that the detector is shown.

    Args:
        pixels: RGB, uint8, shape (H, W, 3).
        view: How it is looked at.
        window: The part that is seen; see `shows_picture`.

    Returns:
        RGB, uint8: what lies beyond the edges is grey.
    """
    seen = window.within(_picture(pixels, view))
    rows = slice(seen.top * view.divisor, seen.bottom * view.divisor)
    part = pixels[rows, seen.left * view.divisor : seen.right * view.divisor]
    if view.divisor > 1:
        part = np.asarray(Image.fromarray(part).reduce(view.divisor))
    if view.even:
        part = np.asarray(ImageOps.equalize(Image.fromarray(part).convert("L")).convert("RGB"))
    if seen == window:
        return part
    framed = np.full((window.bottom - window.top, window.right - window.left, 3), GREY, np.uint8)
    rows = slice(seen.top - window.top, seen.bottom - window.top)
    framed[rows, seen.left - window.left : seen.right - window.left] = part
    return framed


def tiles(whole: Window, side: int, shared: int) -> list[Window]:
    """Cover a picture with windows of equal size, in rows from the top.

    Args:
        whole: The window that shows all of it, without a border.
        side: Longest side of a window, greater than ``shared``.
        shared: Neighbours have at least so many rows or columns in common.

    Returns:
        The windows. Whatever is no larger than ``shared`` lies wholly within one of them.
    """
    across, down = _stretches(whole.right, side, shared), _stretches(whole.bottom, side, shared)
    return [Window(left, top, right, bottom) for top, bottom in down for left, right in across]


def _stretches(length: int, side: int, shared: int) -> list[tuple[int, int]]:
    count = max(-(-(length - shared) // (side - shared)), 1)
    size = -(-(length + (count - 1) * shared) // count)  # as small as so many allow
    starts = [number * (length - size) // max(count - 1, 1) for number in range(count)]
    return [(start, start + size) for start in starts]


def placed(faces: Faces, window: Window, view: View, min_probability: float) -> Faces:
    """Move faces of a window to where they are in the picture.

    Args:
        faces: In pixels of the window.
        window: Where it lies in the view.
        view: How the picture was looked at.
        min_probability: Less probable faces are left out.

    Returns:
        The faces, in pixels of the picture.
    """
    kept = faces.probabilities >= min_probability
    corner, scale = np.array([window.left, window.top], np.float32), np.float32(view.divisor)
    boxes = (faces.boxes[kept] + np.tile(corner, 2)) * scale
    return Faces(boxes, faces.probabilities[kept], (faces.landmarks[kept] + corner) * scale)


def gathered(parts: list[Faces]) -> Faces:
    """Put the faces of windows that overlap together, each once; all in pixels of the picture."""
    boxes = np.concatenate([faces.boxes for faces in parts])
    probabilities = np.concatenate([faces.probabilities for faces in parts])
    landmarks = np.concatenate([faces.landmarks for faces in parts])
    kept = suppress(boxes, probabilities, 0.5, over="smaller")
    return Faces(boxes[kept], probabilities[kept], landmarks[kept])

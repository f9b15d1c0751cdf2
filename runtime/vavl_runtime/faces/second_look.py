"""A second look at a clip in which the plain search finds no face for a second: small, badly lit or cut-off faces.

It costs several times as much as the plain search, so it waits longer each time that it finds nothing. What it has
found is looked for in every later frame that is searched, around the place where it was, which is cheap.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from vavl_runtime.bundle.manifest import CropRecipe
from vavl_runtime.faces.boxes import Boxes
from vavl_runtime.faces.mtcnn import NO_FACES, Faces, Mtcnn
from vavl_runtime.faces.window import (
    View,
    Window,
    gathered,
    placed,
    plain_view,
    shown,
    shows_picture,
    tiles,
    whole_window,
)
from vavl_runtime.media import Frame

AFTER_S = 1.0  # without a face, until the first look
LONGEST_WAIT_S = 4.0  # from one look to the next; every look that finds nothing doubles the wait up to this
BORDER = 0.2  # of the shorter side, around the picture: a face that the edge cuts has room for its other half
AROUND = 1.0  # sides of a face that it may move from one searched frame to the next
ROOM = 1.25  # a face has so many of its sides in common between two tiles


class SecondLook:
    """Finds faces that the plain search misses.

    Args:
        detector: The cascade.
        recipe: Bound on the frame size, smallest face, least probability.
    """

    def __init__(self, detector: Mtcnn, recipe: CropRecipe) -> None:
        self._detector = detector
        self._recipe = recipe
        self._since_s: float | None = None  # no face since then
        self._wait_s = AFTER_S
        self._view: View | None = None  # in which this object found a face last
        self._place: Boxes | None = None  # where a face was last

    def rest(self, frame: Frame, box: Boxes) -> None:
        """Note that a face was found, so that nothing needs looking at for a second.

        Args:
            frame: Where it was found; frames may come a little out of order.
            box: The face, in pixels of the frame, shape (4,).
        """
        self._since_s = max(self._since_s or 0.0, frame.time_s + frame.shown_s)
        self._wait_s = AFTER_S
        self._place = box

    def look(self, frame: Frame, *, at_once: bool = False) -> Faces:
        """Look at a frame in which the plain search finds nothing, if it is time to.

        Args:
            frame: The frame.
            at_once: Do not wait for a second without a face: there is no other frame.

        Returns:
            Its faces that are probable enough, in pixels of the frame.
        """
        if self._view is not None and self._place is not None:
            faces = self._around(frame.pixels, self._view, self._place)
            if len(faces.boxes):
                return faces
        if self._since_s is None:
            self._since_s = frame.time_s
        end_s = frame.time_s + frame.shown_s
        if not at_once and end_s - self._since_s < self._wait_s:
            return NO_FACES
        self._since_s = end_s
        self._wait_s = min(2 * self._wait_s, LONGEST_WAIT_S)
        return self._everywhere(frame.pixels)

    def _around(self, pixels: NDArray[np.uint8], view: View, place: Boxes) -> Faces:
        """Search around the place where a face was."""
        left, top, right, bottom = (float(side) / view.divisor for side in place)
        reach = AROUND * max(right - left, bottom - top)
        near = Window(int(left - reach), int(top - reach), int(right + reach), int(bottom + reach))
        window = near.within(whole_window(pixels, view))
        if not shows_picture(window, pixels, view):  # frames have become smaller
            return NO_FACES
        return self._searched(pixels, view, [window])

    def _everywhere(self, pixels: NDArray[np.uint8]) -> Faces:
        """Search the whole picture: with a border, evenly lit, then at finer and finer scales."""
        for view, windows in self._plan(pixels):
            faces = self._searched(pixels, view, windows)
            if len(faces.boxes):
                self._view = view
                return faces
        self._place = None
        return NO_FACES

    def _plan(self, pixels: NDArray[np.uint8]) -> Iterator[tuple[View, list[Window]]]:
        coarse = plain_view(pixels, self._recipe).divisor
        for view in (View(coarse, border=BORDER), View(coarse, even=True)):
            yield view, [whole_window(pixels, view)]
        while coarse > 1:
            fine = View(coarse // 2)
            # What the coarser search can miss fits into what two neighbouring tiles share.
            shared = round(ROOM * self._recipe.min_face * coarse / fine.divisor)
            side = max(self._recipe.detect_max_side, 2 * shared)
            yield fine, tiles(whole_window(pixels, fine), side, shared)
            coarse = fine.divisor

    def _searched(self, pixels: NDArray[np.uint8], view: View, windows: list[Window]) -> Faces:
        parts = []
        for window in windows:
            faces = self._detector.detect(shown(pixels, view, window))
            parts.append(placed(faces, window, view, self._recipe.min_probability))
        return gathered(parts)

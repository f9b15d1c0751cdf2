"""Tells a face that never moves - on a poster, on a photograph, in a picture that has frozen - from a living one.

A living face changes within seconds, even when it only listens: it blinks, breathes and sways. What the coding and the
noise of a camera change is smaller, once it is averaged over a coarse grid of cells.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vavl_runtime.faces.boxes import Boxes, overlap
from vavl_runtime.media import Frame

LEAST_S = 3.0  # a face that does not move for a shorter time is not worth a word
CELLS = 16  # in a row, and in a column
# Root mean square of what changes in the cells, in units of their spread. Measured within 3 s: 0.25 and more in films
# of faces; 0.1 and less on posters, by what cameras and encoders of usual quality add.
SAME = 0.1
# The largest change of a cell by the same causes; of the whole picture, a small part may move.
SAME_CELL = 0.5
SAME_PLACE = 0.5  # least overlap with where the face was at first
_SAMPLED = 320  # pixels along the longer side that are enough for the whole picture

Cells = NDArray[np.float32]


@dataclass(frozen=True)
class StillFace:
    """A stretch of a clip in which the face does not move.

    Attributes:
        start_s: Time of the first frame, seconds.
        end_s: Time of the last, seconds.
        whole_picture: Whether nothing else in the picture moves either.
    """

    start_s: float
    end_s: float
    whole_picture: bool


@dataclass
class _Stretch:
    start_s: float
    end_s: float
    box: Boxes
    face: Cells
    picture: Cells
    whole_picture: bool = True


class Stillness:
    """Watches the face of a clip. Keeps a few hundred numbers, whatever the length of the clip."""

    def __init__(self) -> None:
        self._now: _Stretch | None = None
        self._longest: StillFace | None = None

    def see(self, frame: Frame, box: Boxes) -> None:
        """Compare a face with what it was when it moved last.

        Args:
            frame: A frame; one that is earlier than the last is left out.
            box: Its face, in pixels, shape (4,).
        """
        now = self._now
        if now is not None and frame.time_s <= now.end_s:
            return
        if now is None or not _same_face(now, frame, box):
            self._now = _Stretch(
                frame.time_s, frame.time_s, box, _face_cells(frame.pixels, box), _picture_cells(frame.pixels)
            )
            return
        now.end_s = frame.time_s
        now.whole_picture = now.whole_picture and _same_picture(now, frame)
        longest_s = self._longest.end_s - self._longest.start_s if self._longest is not None else LEAST_S
        if now.end_s - now.start_s >= longest_s:
            self._longest = StillFace(now.start_s, now.end_s, now.whole_picture)

    @property
    def longest(self) -> StillFace | None:
        """The longest stretch of at least `LEAST_S` in which the face did not move; None if there is none."""
        return self._longest


def _same_face(then: _Stretch, frame: Frame, box: Boxes) -> bool:
    if overlap(then.box[None], box[None])[0, 0] < SAME_PLACE:
        return False
    change = _face_cells(frame.pixels, then.box) - then.face
    return bool(np.sqrt(np.mean(change**2)) <= SAME)


def _same_picture(then: _Stretch, frame: Frame) -> bool:
    return bool(np.abs(_picture_cells(frame.pixels) - then.picture).max() <= SAME_CELL)


def _face_cells(pixels: NDArray[np.uint8], box: Boxes) -> Cells:
    height, width, _ = pixels.shape
    left, top = (int(np.clip(side, 0, size - 1)) for side, size in ((box[0], width), (box[1], height)))
    right, bottom = max(int(box[2]), left) + 1, max(int(box[3]), top) + 1
    return _cells(pixels[top:bottom, left:right])


def _picture_cells(pixels: NDArray[np.uint8]) -> Cells:
    step = -(-max(pixels.shape[:2]) // _SAMPLED)
    return _cells(pixels[::step, ::step])


def _cells(pixels: NDArray[np.uint8]) -> Cells:
    """Brightness of cells about its mean, in units of its spread: light that changes as a whole does not count."""
    grey = Image.fromarray(np.ascontiguousarray(pixels)).convert("L")
    cells: Cells = np.asarray(grey.resize((CELLS, CELLS), Image.Resampling.BOX), np.float32)
    cells = cells - cells.mean()
    cells /= max(float(cells.std()), 1e-6)
    return cells

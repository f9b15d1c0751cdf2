"""One face a frame: detection on some frames, boxes in between interpolated in time.

Where interpolation cannot be trusted (a face appears, vanishes or jumps between two detections), the detector runs
on every frame between them.
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from vavl_runtime.bundle.manifest import CropRecipe
from vavl_runtime.faces.boxes import Boxes, overlap
from vavl_runtime.faces.mtcnn import Faces, Mtcnn
from vavl_runtime.faces.second_look import SecondLook
from vavl_runtime.faces.window import placed, plain_view, shown, whole_window
from vavl_runtime.media import Frame

JITTER = 0.1  # of a frame: time stamps are often whole milliseconds
SAME_FACE = 0.5  # least overlap of two detections for the boxes between them to be interpolated

Locate = Callable[[Frame], "Boxes | None"]


class FaceLocator:
    """Finds the one face of a frame that counts: the largest, then the most confident.

    Args:
        detector: The cascade.
        recipe: Bound on the frame size, least probability, and whether to follow a face.

    Attributes:
        only_picture: Whether the frame is the only one of its clip: then nothing waits for a later one.
        count: Faces in the frame that was searched last. Those much smaller than a face that is followed are left out.
    """

    def __init__(self, detector: Mtcnn, recipe: CropRecipe) -> None:
        self._detector = detector
        self._recipe = recipe
        self._followed = 0.0  # side of the last face found, pixels of its frame
        self._second = SecondLook(detector, recipe)
        self.only_picture = False
        self.count = 0

    def __call__(self, frame: Frame) -> Boxes | None:
        """Locate the face.

        Args:
            frame: The frames of a clip come in their order, but for those between two searches.

        Returns:
            Its box in pixels of the frame, shape (4,), or None.
        """
        faces = self._plain(frame.pixels)
        if not len(faces.boxes):
            faces = self._second.look(frame, at_once=self.only_picture)
        self.count = len(faces.boxes)
        box = largest_face(faces, self._recipe.min_probability)
        if box is not None:
            self._second.rest(frame, box)
        return box

    def _plain(self, pixels: NDArray[np.uint8]) -> Faces:
        """Search the reduced frame, first for faces about as large as the last one."""
        view = plain_view(pixels, self._recipe)
        window = whole_window(pixels, view)
        small = shown(pixels, view, window)
        at_least = self._recipe.follow * self._followed / view.divisor
        faces = placed(self._detector.detect(small, at_least), window, view, self._recipe.min_probability)
        if not len(faces.boxes) and at_least > self._recipe.min_face:
            faces = placed(self._detector.detect(small), window, view, self._recipe.min_probability)
        box = largest_face(faces, self._recipe.min_probability)
        self._followed = float(min(box[2:] - box[:2])) if box is not None else 0.0
        return faces


def largest_face(faces: Faces, min_probability: float) -> Boxes | None:
    """Choose the largest face, then the most confident.

    Args:
        faces: Faces of one image.
        min_probability: Less probable ones do not count.

    Returns:
        Its box, shape (4,), or None.
    """
    area = (faces.boxes[:, 2:] - faces.boxes[:, :2]).prod(axis=1)
    order = np.lexsort((faces.probabilities, area))
    order = order[faces.probabilities[order] >= min_probability]
    return faces.boxes[order[-1]] if len(order) else None


def track_face(
    frames: Iterator[Frame], locate: Locate, every: int, rate: float | None = None
) -> Iterator[tuple[Frame, Boxes | None]]:
    """Give each frame its face box, holding at most ``every`` + 1 frames in memory.

    Args:
        frames: Frames in order.
        locate: Finds the face of a frame.
        every: Frames from one detection to the next, at most.
        rate: A film of fewer frames a second is searched as often in time as one of this rate; None counts frames
            whatever their times.

    Yields:
        Each frame with its box, or None.
    """
    due_after_s = (every - JITTER) / rate if rate is not None else 0.0
    previous: Boxes | None = None
    previous_time = 0.0
    waiting: list[Frame] = []
    for number, frame in enumerate(frames):
        early = rate is None or frame.time_s < previous_time + due_after_s
        if number > 0 and early and len(waiting) < every - 1:
            waiting.append(frame)
            continue
        box = locate(frame)
        yield from _between(waiting, previous, previous_time, box, frame.time_s, locate)
        waiting.clear()
        yield frame, box
        previous, previous_time = box, frame.time_s
    if waiting:  # the clip ends between two detections: detect on its last frame
        last = waiting.pop()
        box = locate(last)
        yield from _between(waiting, previous, previous_time, box, last.time_s, locate)
        yield last, box


def _between(
    waiting: list[Frame], before: Boxes | None, before_s: float, after: Boxes | None, after_s: float, locate: Locate
) -> Iterator[tuple[Frame, Boxes | None]]:
    if before is None and after is None:
        yield from ((frame, None) for frame in waiting)
    elif before is None or after is None or overlap(before[None], after[None])[0, 0] < SAME_FACE:
        yield from ((frame, locate(frame)) for frame in waiting)
    else:
        span = max(after_s - before_s, 1e-9)
        for frame in waiting:
            share = np.float32(min(max((frame.time_s - before_s) / span, 0.0), 1.0))
            yield frame, before + share * (after - before)

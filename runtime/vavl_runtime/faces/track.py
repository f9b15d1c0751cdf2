"""One face a frame: detection on every k-th frame, boxes in between interpolated in time.

Where interpolation cannot be trusted (a face appears, vanishes or jumps between two detections), the detector runs
on every frame between them.
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vavl_runtime.bundle.manifest import CropRecipe
from vavl_runtime.faces.boxes import Boxes, overlap
from vavl_runtime.faces.mtcnn import Faces, Mtcnn
from vavl_runtime.media import Frame

SAME_FACE = 0.5  # least overlap of two detections for the boxes between them to be interpolated

Locate = Callable[[NDArray[np.uint8]], "Boxes | None"]


class FaceLocator:
    """Finds the one face of a frame that counts: the largest, then the most confident.

    Args:
        detector: The cascade.
        recipe: Bound on the frame size, least probability, and whether to follow a face.
    """

    def __init__(self, detector: Mtcnn, recipe: CropRecipe) -> None:
        self._detector = detector
        self._recipe = recipe
        self._followed = 0.0  # side of the last face found, pixels of its frame

    def __call__(self, pixels: NDArray[np.uint8]) -> Boxes | None:
        """Locate the face; frames come in the order of the clip.

        Args:
            pixels: RGB, uint8, shape (H, W, 3).

        Returns:
            Its box in pixels of the frame, shape (4,), or None.
        """
        divisor = -(-max(pixels.shape[:2]) // self._recipe.detect_max_side)
        small = np.asarray(Image.fromarray(pixels).reduce(divisor)) if divisor > 1 else pixels
        at_least = self._recipe.follow * self._followed / divisor
        box = largest_face(self._detector.detect(small, at_least), self._recipe.min_probability)
        if box is None and at_least > self._recipe.min_face:
            box = largest_face(self._detector.detect(small), self._recipe.min_probability)
        if box is None:
            self._followed = 0.0
            return None
        located: Boxes = box * np.float32(divisor)
        self._followed = float(min(located[2:] - located[:2]))
        return located


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


def track_face(frames: Iterator[Frame], locate: Locate, every: int) -> Iterator[tuple[Frame, Boxes | None]]:
    """Give each frame its face box, holding at most ``every`` + 1 frames in memory.

    Args:
        frames: Frames in order.
        locate: Finds the face of a frame.
        every: Frames from one detection to the next.

    Yields:
        Each frame with its box, or None.
    """
    previous: Boxes | None = None
    previous_time = 0.0
    waiting: list[Frame] = []
    for number, frame in enumerate(frames):
        if number % every:
            waiting.append(frame)
            continue
        box = locate(frame.pixels)
        yield from _between(waiting, previous, previous_time, box, frame.time_s, locate)
        waiting.clear()
        yield frame, box
        previous, previous_time = box, frame.time_s
    if waiting:  # the clip ends between two detections: detect on its last frame
        last = waiting.pop()
        box = locate(last.pixels)
        yield from _between(waiting, previous, previous_time, box, last.time_s, locate)
        yield last, box


def _between(
    waiting: list[Frame], before: Boxes | None, before_s: float, after: Boxes | None, after_s: float, locate: Locate
) -> Iterator[tuple[Frame, Boxes | None]]:
    if before is None and after is None:
        yield from ((frame, None) for frame in waiting)
    elif before is None or after is None or overlap(before[None], after[None])[0, 0] < SAME_FACE:
        yield from ((frame, locate(frame.pixels)) for frame in waiting)
    else:
        span = max(after_s - before_s, 1e-9)
        for frame in waiting:
            share = np.float32(min(max((frame.time_s - before_s) / span, 0.0), 1.0))
            yield frame, before + share * (after - before)

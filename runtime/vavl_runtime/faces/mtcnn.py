"""The MTCNN cascade in NumPy over three small graphs; boxes equal ``facenet-pytorch``'s within a pixel.

Zhang et al. 2016: a pyramid of the image through P-Net proposes boxes, R-Net and O-Net refine them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vavl_runtime.backends.base import RunGraph
from vavl_runtime.bundle.manifest import CropRecipe
from vavl_runtime.errors import GraphFailedError
from vavl_runtime.faces.area import AreaSampler
from vavl_runtime.faces.boxes import Boxes, suppress, to_squares

CELL = 12  # P-Net looks at 12 x 12 pixels, every second pixel
STRIDE = 2


@dataclass(frozen=True)
class Faces:
    """Faces of one image, in no particular order.

    Attributes:
        boxes: (x1, y1, x2, y2) in pixels of the image, may reach over its edge, float32, shape (N, 4).
        probabilities: Of being a face, float32, shape (N,).
        landmarks: Left eye, right eye, nose, left and right corner of the mouth, (x, y), float32, (N, 5, 2).
    """

    boxes: Boxes
    probabilities: NDArray[np.float32]
    landmarks: NDArray[np.float32]


NO_FACES = Faces(np.empty((0, 4), np.float32), np.empty(0, np.float32), np.empty((0, 5, 2), np.float32))


class Mtcnn:
    """Detects faces.

    Args:
        run: Runs ``pnet``, ``rnet`` or ``onet`` on ``pixels`` (N, H, W, 3), float32 in 0..255.
        recipe: Smallest face, thresholds and pyramid factor.
    """

    def __init__(self, run: RunGraph, recipe: CropRecipe) -> None:
        self._run = run
        self._recipe = recipe

    def detect(self, image: NDArray[np.uint8], at_least: float = 0.0) -> Faces:
        """Find all faces of an image.

        Args:
            image: RGB, uint8, shape (H, W, 3).
            at_least: Side in pixels, at least the recipe's smallest face; smaller faces may be missed, which is faster.

        Returns:
            The faces; none if the image is smaller than the smallest face.
        """
        sampler = AreaSampler(image)
        boxes = self._propose(sampler, at_least)
        boxes, scores, offsets, _ = self._refine(sampler, boxes, "rnet", 24, self._recipe.thresholds[1])
        kept = suppress(boxes, scores, 0.7)
        boxes = to_squares(_shift(boxes[kept], offsets[kept]))
        boxes, scores, offsets, landmarks = self._refine(sampler, boxes, "onet", 48, self._recipe.thresholds[2])
        if not len(boxes):
            return NO_FACES
        size = boxes[:, None, 2:] - boxes[:, None, :2] + 1
        points = landmarks.reshape(-1, 2, 5).transpose(0, 2, 1) * size + boxes[:, None, :2] - 1
        boxes = _shift(boxes, offsets)
        kept = suppress(boxes, scores, 0.7, over="smaller", border=1.0)
        return Faces(boxes[kept], scores[kept], points[kept])

    def _scales(self, sampler: AreaSampler, at_least: float) -> list[float]:
        scale = CELL / self._recipe.min_face
        side = min(sampler.height, sampler.width) * scale
        scales = []
        while side >= CELL:
            if CELL / scale >= at_least:  # the same scales for every ``at_least``, so that the same faces come out
                scales.append(scale)
            scale *= self._recipe.factor
            side *= self._recipe.factor
        return scales

    def _propose(self, sampler: AreaSampler, at_least: float) -> Boxes:
        """Run P-Net over the pyramid; returns squares."""
        found = [self._propose_at(sampler, scale) for scale in self._scales(sampler, at_least)]
        if not found:
            return np.empty((0, 4), np.float32)
        boxes, scores, offsets = (np.concatenate(parts) for parts in zip(*found, strict=True))
        kept = suppress(boxes, scores, 0.7)
        boxes, offsets = boxes[kept], offsets[kept]
        size = np.concatenate([boxes[:, 2:] - boxes[:, :2]] * 2, axis=1)
        return to_squares(boxes + offsets * size)

    def _propose_at(self, sampler: AreaSampler, scale: float) -> tuple[Boxes, NDArray[np.float32], Boxes]:
        pixels = sampler.resize(int(sampler.height * scale + 1), int(sampler.width * scale + 1))
        output = self._run("pnet", {"pixels": pixels[None]})
        probability = output["probability"][0]  # (rows, columns)
        if output["offsets"].shape[2:] != probability.shape:
            maps = f"{output['offsets'].shape[2:]} and {probability.shape}"
            raise GraphFailedError(f"graph pnet: gives maps of {maps} cells, expected equal ones; verify the bundle")
        rows, columns = np.nonzero(probability >= self._recipe.thresholds[0])
        corner = np.stack([columns, rows], axis=1).astype(np.float32) * STRIDE
        scale32 = np.float32(scale)
        boxes = np.concatenate([np.floor((corner + 1) / scale32), np.floor((corner + CELL) / scale32)], axis=1)
        scores = probability[rows, columns]
        offsets = output["offsets"][0][:, rows, columns].T  # (N, 4)
        kept = suppress(boxes, scores, 0.5)
        return boxes[kept], scores[kept], offsets[kept]

    def _refine(
        self, sampler: AreaSampler, boxes: Boxes, net: str, size: int, threshold: float
    ) -> tuple[Boxes, NDArray[np.float32], Boxes, NDArray[np.float32]]:
        """Score squares with R-Net or O-Net; returns those that pass, with scores, offsets and landmarks."""
        corners = np.trunc(boxes).astype(np.intp)
        left, top = (np.maximum(corners[:, axis], 1) - 1 for axis in (0, 1))
        right = np.minimum(corners[:, 2], sampler.width)
        bottom = np.minimum(corners[:, 3], sampler.height)
        visible = (right > left) & (bottom > top)
        if not visible.any():
            empty = np.empty((0, 4), np.float32)
            return empty, np.empty(0, np.float32), empty, np.empty((0, 10), np.float32)
        boxes = boxes[visible]
        pixels = sampler.crops(left[visible], top[visible], right[visible], bottom[visible], size)
        output = self._run(net, {"pixels": pixels})
        passed = output["probability"] > threshold
        landmarks = output.get("landmarks", np.empty((len(boxes), 10), np.float32))
        return boxes[passed], output["probability"][passed], output["offsets"][passed], landmarks[passed]


def _shift(boxes: Boxes, offsets: Boxes) -> Boxes:
    """Move the corners by offsets relative to the inclusive size."""
    size = np.concatenate([boxes[:, 2:] - boxes[:, :2] + 1] * 2, axis=1)
    moved: Boxes = boxes + offsets * size
    return moved

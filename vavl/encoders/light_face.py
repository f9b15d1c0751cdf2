"""The light face encoder: O-Net, the last network of the MTCNN face detector, as a face representation.

O-Net was trained to detect faces, refine boxes and find five landmarks (Zhang et al. 2016), so its hidden layer
represents eyes, nose and mouth. The geometry of its landmarks adds the pose of the mouth and the head.
"""

from typing import Any

import torch
from torch import Tensor, nn

from vavl.encoders.base import FACE_SIZE, FaceEncoder

SIDE = 48  # pixels on each side of O-Net's input
HIDDEN = 256
LANDMARKS = 5  # left eye, right eye, nose, left and right corner of the mouth
GEOMETRY = 19


def resampling(size: int, left: float, width: float, out: int) -> Tensor:
    """A matrix that crops a line of pixels and scales it down, with triangular (antialiasing) weights.

    Args:
        size: Number of pixels in the line.
        left: Start of the crop, in pixels.
        width: Width of the crop, in pixels.
        out: Number of pixels in the result.

    Returns:
        float32, shape (out, size), rows sum to 1.
    """
    scale = width / out
    centre = left + (torch.arange(out, dtype=torch.float64) + 0.5) * scale
    distance = (torch.arange(size, dtype=torch.float64) + 0.5)[None] - centre[:, None]
    weights = (1.0 - distance.abs() / max(scale, 1.0)).clamp(min=0.0)
    return (weights / weights.sum(1, keepdim=True)).float()


class LightFaceEncoder(FaceEncoder):
    """O-Net's hidden layer and the geometry of its landmarks.

    Args:
        network: O-Net of ``facenet-pytorch``.
        margin: Margin of the face crops, which is removed first: O-Net was trained without.
        hidden: Return the hidden layer in addition to the landmarks.
    """

    # A small corpus cannot improve the first layers, and the landmarks must stay landmarks.
    frozen = ("conv1.", "prelu1.", "conv2.", "prelu2.", "conv3.", "prelu3.", "landmarks.")

    def __init__(self, network: nn.Module, margin: float = 0.2, hidden: bool = True) -> None:
        super().__init__()
        self.settings: dict[str, Any] = {"margin": margin, "hidden": hidden}
        for name in ("conv1", "prelu1", "pool1", "conv2", "prelu2", "pool2", "conv3", "prelu3", "pool3"):
            setattr(self, name, getattr(network, name))
        self.conv4, self.prelu4 = network.conv4, network.prelu4
        self.hidden, self.activation, self.landmarks = network.dense5, network.prelu5, network.dense6_3
        width = FACE_SIZE / (1.0 + margin)
        shrink = resampling(FACE_SIZE, (FACE_SIZE - width) / 2, width, SIDE)
        self.register_buffer("shrink", shrink, persistent=False)
        self.dim = HIDDEN * hidden + GEOMETRY

    def forward(self, faces: Tensor) -> Tensor:
        """Encode; see `FaceEncoder.forward`."""
        pixels = (faces.float() - 127.5) * 0.0078125  # what MTCNN's networks expect
        x = self.shrink @ pixels.permute(0, 3, 1, 2) @ self.shrink.T  # (N, 3, 48, 48)
        x = self.pool1(self.prelu1(self.conv1(x)))
        x = self.pool2(self.prelu2(self.conv2(x)))
        x = self.pool3(self.prelu3(self.conv3(x)))
        x = self.prelu4(self.conv4(x))
        hidden = self.activation(self.hidden(x.permute(0, 3, 2, 1).flatten(1)))  # width before height, as trained
        seen = geometry(self.landmarks(hidden))
        return torch.cat([hidden, seen], dim=1) if self.settings["hidden"] else seen


def geometry(landmarks: Tensor) -> Tensor:
    """Landmarks in the coordinate frame of the eyes, independent of the position, size and tilt of the head.

    Args:
        landmarks: Five x coordinates and then five y coordinates, as shares of the crop, shape (N, 10).

    Returns:
        Nose and mouth corners in the frame of the eyes (6), width of the mouth (1), distance and tilt of the
        eyes (2), and the landmarks themselves (10), shape (N, 19).
    """
    points = torch.stack([landmarks[:, :LANDMARKS], landmarks[:, LANDMARKS:]], dim=2)  # (N, 5, 2)
    left, right = points[:, 0], points[:, 1]
    between = right - left
    distance = between.square().sum(1, keepdim=True).add(1e-6).sqrt()  # (N, 1)
    along = between / distance
    across = torch.stack([-along[:, 1], along[:, 0]], dim=1)
    away = points[:, 2:] - 0.5 * (left + right)[:, None]  # (N, 3, 2)
    inward = torch.stack([(away * along[:, None]).sum(2), (away * across[:, None]).sum(2)], dim=2) / distance[:, None]
    mouth = (points[:, 4] - points[:, 3]).square().sum(1, keepdim=True).add(1e-6).sqrt() / distance
    return torch.cat([inward.flatten(1), mouth, distance, along[:, 1:], landmarks], dim=1)

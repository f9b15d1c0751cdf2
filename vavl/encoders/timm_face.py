"""Face encoders from ``timm``: EfficientNet-B2 as in the paper, or any other network by name."""

from typing import Any

import torch
from torch import Tensor

from vavl.encoders.base import FaceEncoder

EFFICIENTNET_B2 = "tf_efficientnet_b2"  # HSEmotion's enet_b2_8 is this network, fed 224 px (D16)


class TimmFaceEncoder(FaceEncoder):
    """A ``timm`` classification network without its classifier: pooled features of a face.

    Args:
        network: A network created with ``num_classes=0``.
        mean: Channel means of pixels in [0, 1] that the weights expect.
        std: Channel deviations.
        name: Name of the network in ``timm``.
    """

    def __init__(self, network: Any, mean: tuple[float, ...], std: tuple[float, ...], name: str) -> None:
        super().__init__()
        self.settings: dict[str, Any] = {"name": name, "mean": list(mean), "std": list(std)}
        self.network = network
        # (pixel / 255 - mean) / std as one multiplication and one addition.
        self.register_buffer("gain", 1.0 / (255.0 * torch.tensor(std)), persistent=False)
        self.register_buffer("offset", -torch.tensor(mean) / torch.tensor(std), persistent=False)
        with torch.no_grad():
            self.dim = int(network.eval()(torch.zeros(1, 3, 64, 64)).shape[1])

    def forward(self, faces: Tensor) -> Tensor:
        """Encode; see `FaceEncoder.forward`."""
        pixels = faces.float() * self.gain + self.offset  # (N, 224, 224, 3)
        return self.network(pixels.permute(0, 3, 1, 2))

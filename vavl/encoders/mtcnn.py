"""The three MTCNN networks with the weights that ``facenet-pytorch`` ships, ready for export."""

import torch
from torch import Tensor, nn

from vavl.errors import EncoderUnavailableError


class PixelInput(nn.Module):
    """Feeds pixel values in 0..255, channels last, to a network that expects [-1, 1], channels first.

    Args:
        network: PNet, RNet or ONet of ``facenet-pytorch``.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Run the network on pixels (N, H, W, 3), float32 in 0..255; the face probability is the first output."""
        *rest, probability = self.network((pixels.permute(0, 3, 1, 2) - 127.5) * 0.0078125)
        return probability[:, 1], *rest


def load_mtcnn() -> dict[str, PixelInput]:
    """Load ``pnet``, ``rnet`` and ``onet``.

    Returns:
        The networks by name, in evaluation mode.

    Raises:
        EncoderUnavailableError: ``facenet-pytorch`` is not installed.
    """
    try:
        from facenet_pytorch.models.mtcnn import ONet, PNet, RNet
    except ImportError as error:
        raise EncoderUnavailableError(
            f"MTCNN: its weights come with facenet-pytorch, which cannot be imported ({error}); "
            "pip install 'vavl-edge[export]'"
        ) from error
    with torch.no_grad():
        return {"pnet": PixelInput(PNet()).eval(), "rnet": PixelInput(RNet()).eval(), "onet": PixelInput(ONet()).eval()}

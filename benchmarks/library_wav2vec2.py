"""wav2vec2 as its library runs it: what a person would write down first."""

import torch
import transformers
from torch import Tensor, nn


class LibraryWav2Vec2(nn.Module):
    """The library's own class, fed sounds of one length.

    Args:
        network: Any of its layer-norm networks.
    """

    def __init__(self, network: transformers.Wav2Vec2Model) -> None:
        super().__init__()
        self.network = network

    def forward(self, waveform: Tensor, samples: Tensor) -> tuple[Tensor, Tensor]:
        """Map waveform (B, S) and samples (B,), all S, to features (B, T, F) and lengths (B,)."""
        centred = waveform - waveform.mean(dim=1, keepdim=True)
        features = self.network(centred / torch.sqrt(centred.square().mean(dim=1, keepdim=True) + 1e-7))[0]
        return features, torch.full_like(samples, features.shape[1])

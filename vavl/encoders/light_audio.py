"""The light audio encoder: log-mel computed inside the graph, then a small convolutional network.

Token times equal wav2vec2's: a 25 ms window every 20 ms, so a clip gives the same number of tokens with both.
"""

import math

import torch
from torch import Tensor, nn

from vavl.encoders.base import SAMPLE_RATE, AudioEncoder
from vavl.model.masking import length_mask

WINDOW = 400  # samples, 25 ms
HOP = 160  # samples, 10 ms; a stride of two makes the 20 ms of a token


def mel_filters(bands: int, bins: int, low_hz: float = 50.0, high_hz: float = 7600.0) -> Tensor:
    """Triangular mel filters (HTK scale).

    Args:
        bands: Number of mel bands.
        bins: Number of linear frequency bins from 0 to the Nyquist frequency.
        low_hz: Lower edge of the first band.
        high_hz: Upper edge of the last band.

    Returns:
        Weights, float32, shape (bands, bins).
    """

    def to_mel(hz: float) -> float:
        return 2595.0 * math.log10(1.0 + hz / 700.0)

    edges = torch.linspace(to_mel(low_hz), to_mel(high_hz), bands + 2, dtype=torch.float64)
    edges = 700.0 * (10.0 ** (edges / 2595.0) - 1.0)
    frequency = torch.linspace(0.0, SAMPLE_RATE / 2, bins, dtype=torch.float64)
    rising = (frequency - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - frequency) / (edges[2:] - edges[1:-1])[:, None]
    return torch.minimum(rising, falling).clamp(min=0).float()


class LogMel(nn.Module):
    """Log-mel spectrogram with per-clip mean and variance normalisation, as convolutions.

    Args:
        bands: Number of mel bands.
    """

    def __init__(self, bands: int) -> None:
        super().__init__()
        bins = 257  # a 512-point transform of the 400-sample window
        time = torch.arange(WINDOW, dtype=torch.float64)
        window = 0.5 - 0.5 * torch.cos(2 * math.pi * time / WINDOW)
        angle = 2 * math.pi * torch.arange(bins, dtype=torch.float64)[:, None] * time / 512
        basis = torch.cat([torch.cos(angle) * window, torch.sin(angle) * window])
        self.register_buffer("basis", basis.float()[:, None], persistent=False)  # (2 * 257, 1, 400)
        self.register_buffer("filters", mel_filters(bands, bins), persistent=False)

    def forward(self, waveform: Tensor, frames: Tensor) -> Tensor:
        """Compute normalised log-mel frames.

        Args:
            waveform: Sound, shape (B, S).
            frames: Valid frames of each clip, int64, shape (B,).

        Returns:
            Frames (B, M, bands), zero where invalid.
        """
        spectrum = nn.functional.conv1d(waveform[:, None], self.basis, stride=HOP)  # (B, 514, M)
        real, imaginary = spectrum.chunk(2, dim=1)
        power = (real.square() + imaginary.square()).transpose(1, 2)  # (B, M, 257)
        mel = torch.log(power @ self.filters.T + 1e-6)
        weights = length_mask(frames, mel.shape[1])[:, :, None]
        count = weights.sum(dim=1, keepdim=True)
        centred = mel - (mel * weights).sum(dim=1, keepdim=True) / count
        variance = (centred.square() * weights).sum(dim=1, keepdim=True) / count
        return centred * torch.rsqrt(variance + 1e-2) * weights


class ConvBlock(nn.Module):
    """Depthwise convolution over time, LayerNorm, and an inverted bottleneck, with a residual."""

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width)
        self.norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, 2 * width)
        self.activation = nn.SiLU()
        self.project = nn.Linear(2 * width, width)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Mix tokens (B, T, D) under a mask (B, T, 1)."""
        mixed = self.depthwise((x * mask).transpose(1, 2)).transpose(1, 2)
        return x + self.project(self.activation(self.expand(self.norm(mixed))))


class LightAudioEncoder(AudioEncoder):
    """Log-mel and a few convolution blocks, about a million parameters.

    Args:
        width: Width of the features, F_a.
        blocks: Convolution blocks.
        bands: Mel bands.
        kernel: Taps of the depthwise convolutions.
    """

    minimum_samples = WINDOW

    def __init__(self, width: int = 192, blocks: int = 6, bands: int = 80, kernel: int = 7) -> None:
        super().__init__()
        self.settings = {"width": width, "blocks": blocks, "bands": bands, "kernel": kernel}
        self.dim = width
        self.log_mel = LogMel(bands)
        self.stem = nn.Conv1d(bands, width, 3, stride=2, padding=1)
        self.blocks = nn.ModuleList(ConvBlock(width, kernel) for _ in range(blocks))
        self.norm = nn.LayerNorm(width)

    def output_lengths(self, samples: Tensor) -> Tensor:
        """Tokens that a number of samples gives: the same as wav2vec2's."""
        return torch.div(samples - WINDOW, 2 * HOP, rounding_mode="floor") + 1

    def forward(self, waveform: Tensor, samples: Tensor) -> tuple[Tensor, Tensor]:
        """Encode; see `AudioEncoder.forward`."""
        frames = torch.div(samples - WINDOW, HOP, rounding_mode="floor") + 1
        x = self.stem(self.log_mel(waveform, frames).transpose(1, 2)).transpose(1, 2)  # (B, T, width)
        lengths = self.output_lengths(samples)
        mask = length_mask(lengths, x.shape[1])[:, :, None]
        for block in self.blocks:
            x = block(x, mask)
        return self.norm(x), lengths

"""The light audio encoder: prosody measured inside the graph, optionally with a small learned network."""

import torch
from torch import Tensor, nn

from vavl.encoders.base import AudioEncoder
from vavl.encoders.prosody import FIELD, Prosody, ProsodyStatistics, frame_count
from vavl.model.masking import length_mask

POOL = 4  # frames per token: 80 ms, about the nucleus of a syllable


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
    """Prosody, spectrum and a few convolution blocks.

    A token holds the clip's prosody statistics (equal in every token, so that pooling keeps them) and the pitch,
    periodicity and loudness at this moment. With mel bands, it also holds the spectrum, the statistics of the spectrum
    and the output of the learned network.

    Args:
        width: Width of the learned part.
        blocks: Number of convolution blocks of the learned part; 0 for none.
        bands: Number of mel bands; 0 for no spectrum.
        kernel: Taps of the depthwise convolutions.
    """

    minimum_samples = FIELD + (POOL - 1) * 320
    version = 2  # version 1 measured pitch an octave low in some voices

    def __init__(self, width: int = 64, blocks: int = 2, bands: int = 64, kernel: int = 5) -> None:
        super().__init__()
        self.settings = {"width": width, "blocks": blocks, "bands": bands, "kernel": kernel}
        self.prosody = Prosody(bands)
        self.statistics = ProsodyStatistics(bands)
        self.dim = self.statistics.dim + bands + 3
        if blocks:
            self.stem = nn.Conv1d(bands + 3, width, 3, padding=1)
            self.norm = nn.LayerNorm(width)
            self.dim += width
        self.blocks = nn.ModuleList(ConvBlock(width, kernel) for _ in range(blocks))

    def output_lengths(self, samples: Tensor) -> Tensor:
        """Number of tokens for a number of samples: one per four complete frames."""
        return torch.div(frame_count(samples), POOL, rounding_mode="floor")

    def forward(self, waveform: Tensor, samples: Tensor) -> tuple[Tensor, Tensor]:
        """Encode; see `AudioEncoder.forward`."""
        mel, pitch, periodicity, energy = self.prosody(waveform, samples)
        mask = length_mask(frame_count(samples), pitch.shape[1])
        statistics = self.statistics(mel, pitch, periodicity, energy, mask)  # (B, S)
        moment = torch.stack([pitch, periodicity, 0.2 * energy], dim=2)
        if mel is not None:
            moment = torch.cat([moment, 0.2 * mel], dim=2)
        tokens = nn.functional.avg_pool1d(moment.transpose(1, 2), POOL).transpose(1, 2)  # (B, T, 3 + bands)
        lengths = self.output_lengths(samples)
        context = statistics[:, None].expand(-1, tokens.shape[1], -1)
        if not len(self.blocks):
            return torch.cat([context, tokens], dim=2), lengths
        valid = length_mask(lengths, tokens.shape[1])[:, :, None]
        learned = self.stem((tokens * valid).transpose(1, 2)).transpose(1, 2)
        for block in self.blocks:
            learned = block(learned, valid)
        return torch.cat([context, tokens, self.norm(learned)], dim=2), lengths

"""Prosody measured inside the graph: pitch, periodicity, loudness and spectrum of each frame.

Nothing here is learned. Everything is convolutions, products and masked sums, so it can be exported.
Legend: B clips, S samples, T frames.
"""

import math

import torch
from torch import Tensor, nn

from vavl.encoders.base import SAMPLE_RATE
from vavl.model.masking import length_mask

FIELD = 400  # samples needed for the first frame, 25 ms: the receptive field of wav2vec2
HOP = 320  # samples, 20 ms
WINDOW = 640  # samples, 40 ms: two periods of 50 Hz, enough for the lowest voices
TRANSFORM = 1024
LOWEST_LAG, HIGHEST_LAG = 32, 240  # samples: 500 Hz to 67 Hz
VOICED = 0.6  # a frame with at least this periodicity counts as voiced
STEEPNESS = 60.0  # of the softmax over lags
# Extra correlation that a lag twice as long must have, because peaks at multiples of the period are equally high. The
# product with the steepness must be large enough to give them no weight; else the mean over lags is below the pitch.
OCTAVE_COST = 0.1


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


def frame_count(samples: Tensor) -> Tensor:
    """Number of frames for a number of samples, int64; equal to the number of wav2vec2 tokens."""
    return torch.div(samples - FIELD, HOP, rounding_mode="floor") + 1


class Prosody(nn.Module):
    """Log-mel spectrum, pitch, periodicity and loudness of every frame.

    Args:
        bands: Number of mel bands; 0 for no spectrum.
    """

    def __init__(self, bands: int) -> None:
        super().__init__()
        self.bands = bands
        bins = torch.arange(TRANSFORM // 2 + 1, dtype=torch.float64)
        window = torch.hann_window(WINDOW, dtype=torch.float64)
        angle = 2 * math.pi * bins[:, None] * torch.arange(WINDOW, dtype=torch.float64) / TRANSFORM
        basis = torch.cat([torch.cos(angle) * window, torch.sin(angle) * window])
        self.register_buffer("basis", basis.float()[:, None], persistent=False)  # (2 * 513, 1, 640)
        if bands:
            self.register_buffer("filters", mel_filters(bands, len(bins)).T.contiguous(), persistent=False)
        # A power spectrum times cosines is the autocorrelation; all bins except the first and last count twice.
        lags = torch.arange(LOWEST_LAG, HIGHEST_LAG)
        twice = torch.full((len(bins), 1), 2.0, dtype=torch.float64)
        twice[[0, -1]] = 1.0
        cosines = twice * torch.cos(
            2 * math.pi * bins[:, None] * torch.cat([torch.zeros(1), lags.double()]) / TRANSFORM
        )
        own = torch.fft.rfft(window, TRANSFORM).abs().square() @ cosines
        self.register_buffer("correlate", (cosines / TRANSFORM).float(), persistent=False)  # (513, 1 + lags)
        self.register_buffer("taper", (own[0] / own[1:]).float(), persistent=False)  # undoes the window's decay
        octaves = torch.log2(SAMPLE_RATE / lags.double() / 100.0).float()
        self.register_buffer("octaves", octaves, persistent=False)

    def forward(self, waveform: Tensor, samples: Tensor) -> tuple[Tensor | None, Tensor, Tensor, Tensor]:
        """Measure the prosody of a batch.

        Args:
            waveform: Mono 16 kHz float32 in [-1, 1], shape (B, S).
            samples: Valid samples, int64, shape (B,).

        Returns:
            Log-mel (B, T, bands), or None without bands; pitch in octaves above 100 Hz (B, T), undefined in frames that
            are not periodic; periodicity in [0, 1] (B, T); natural log of the energy (B, T). Frames after a clip's end
            are undefined.
        """
        sound = (waveform * length_mask(samples, waveform.shape[1]))[:, None]
        margin = (WINDOW - FIELD) // 2
        spectrum = nn.functional.conv1d(nn.functional.pad(sound, (margin, margin)), self.basis, stride=HOP)
        real, imaginary = spectrum.chunk(2, dim=1)
        power = (real.square() + imaginary.square()).transpose(1, 2)  # (B, T, 513)
        mel = torch.log(power @ self.filters + 1e-6) if self.bands else None
        correlation = power @ self.correlate  # (B, T, 1 + lags)
        energy = correlation[..., :1]
        normalized = correlation[..., 1:] / (energy + 1e-4) * self.taper
        # A steep softmax is a smooth argmax: it needs no gather and does not jump between neighbouring lags.
        weights = torch.softmax(STEEPNESS * (normalized + OCTAVE_COST * self.octaves), dim=-1)
        periodicity = normalized.amax(dim=-1).clamp(0.0, 1.0)
        return mel, weights @ self.octaves, periodicity, torch.log(energy[..., 0] + 1e-5)


class ProsodyStatistics(nn.Module):
    """Statistics of pitch, loudness, periodicity and spectrum over a clip.

    Smooth extremes (log-mean-exp) take the place of percentiles, which would need sorting.

    Attributes:
        dim: Width of the result: 25 and twice the mel bands.
    """

    def __init__(self, bands: int) -> None:
        super().__init__()
        self.dim = 25 + 2 * bands

    def forward(self, mel: Tensor | None, pitch: Tensor, periodicity: Tensor, energy: Tensor, mask: Tensor) -> Tensor:
        """Compute the statistics of a batch.

        Args:
            mel: (B, T, bands), or None without bands.
            pitch: (B, T).
            periodicity: (B, T).
            energy: (B, T).
            mask: Length mask, (B, T).

        Returns:
            Statistics, shape (B, dim).
        """
        uniform = _normalized(mask)
        semitones = 12.0 * pitch
        loud = mask * torch.sigmoid(energy - (uniform * energy).sum(1, keepdim=True))
        voiced = _normalized(loud * torch.sigmoid((periodicity - VOICED) * 15.0))
        loud = _normalized(loud)
        glide, swell = _change(semitones).clamp(-3.0, 3.0), _change(energy)
        joint = _mean(semitones * energy, voiced) - _mean(semitones, voiced) * _mean(energy, voiced)
        columns = [
            *_shape(semitones, voiced, 0.5),
            *_shape(energy, loud, 1.0),
            *_shape(periodicity, loud, 5.0),
            *_shape(glide, voiced, 1.0)[:2],
            _mean(glide.abs(), voiced),
            *_shape(swell, uniform, 1.0),
            _mean(swell.abs(), uniform),
            _mean(torch.sigmoid((periodicity - VOICED) * 30.0), uniform),
            torch.log(mask.sum(1)),
            *_shape(energy, uniform, 1.0)[:2],
            joint,
        ]
        voice = torch.stack(columns, dim=1)
        if mel is None:
            return voice
        mel_mean = (mel * uniform[:, :, None]).sum(1)
        mel_spread = ((mel - mel_mean[:, None]).square() * uniform[:, :, None]).sum(1).add(1e-4).sqrt()
        return torch.cat([voice, mel_mean, mel_spread], dim=1)


def _normalized(weights: Tensor) -> Tensor:
    return weights / (weights.sum(1, keepdim=True) + 1e-6)


def _mean(x: Tensor, weights: Tensor) -> Tensor:
    return (x * weights).sum(1)


def _change(x: Tensor) -> Tensor:
    """Difference from the previous frame; 0 for the first frame."""
    return nn.functional.pad(x[:, 1:] - x[:, :-1], (1, 0))


def _shape(x: Tensor, weights: Tensor, sharpness: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Mean, deviation, smooth maximum and smooth minimum over time, each (B,); extremes relative to the mean."""
    mean = _mean(x, weights)
    # Frames with weight 0 may hold any value; bounding the distance keeps exp finite.
    away = (x - mean[:, None]).clamp(-20.0 / sharpness, 20.0 / sharpness)
    deviation = _mean(away.square(), weights).add(1e-4).sqrt()
    high = torch.log(_mean(torch.exp(sharpness * away), weights) + 1e-6) / sharpness
    low = -torch.log(_mean(torch.exp(-sharpness * away), weights) + 1e-6) / sharpness
    return mean, deviation, high, low

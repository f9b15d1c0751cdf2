"""Random changes to sound and faces that keep the emotion: speed with pitch, loudness, light, mirroring."""

import torch
from torch import Tensor

SPEED = 0.12  # largest relative change of speed and pitch
GAIN_DB = 3.0  # standard deviation of the gain
BRIGHTNESS = 0.15  # standard deviation, as a share of full scale
CONTRAST = 0.2  # standard deviation of the relative change


def change_sound(waveform: Tensor, samples: Tensor, minimum: int = 1) -> tuple[Tensor, Tensor]:
    """Change speed, pitch and loudness of each clip.

    Args:
        waveform: Padded with zeros, float32, shape (B, S).
        samples: Valid samples, int64, shape (B,), each at least ``minimum``.
        minimum: Samples that the encoder needs; no clip becomes shorter than that.

    Returns:
        The changed sound, (B, S'), and its valid samples.
    """
    speed = 1.0 + SPEED * (2.0 * torch.rand(len(samples)) - 1.0)
    speed = torch.minimum(speed, samples / minimum)
    lengths = (samples / speed).long().clamp(min=minimum)
    position = torch.arange(int(lengths.max()))[None] * speed[:, None]
    position = torch.minimum(position, (samples - 1).clamp(min=0)[:, None].float())
    before = position.long()
    after = (before + 1).clamp(max=waveform.shape[1] - 1)
    share = position - before
    changed = waveform.gather(1, before) * (1.0 - share) + waveform.gather(1, after) * share
    gain = 10.0 ** (GAIN_DB * torch.randn(len(samples), 1) / 20.0)
    valid = torch.arange(changed.shape[1])[None] < lengths[:, None]
    return (changed * gain).clamp(-1.0, 1.0) * valid, lengths


def change_faces(faces: Tensor) -> Tensor:
    """Mirror half of the faces, and change brightness and contrast of each.

    Args:
        faces: RGB, uint8, shape (N, H, W, 3).

    Returns:
        The changed faces, uint8, shape (N, H, W, 3).
    """
    mirrored = torch.where((torch.rand(len(faces)) < 0.5)[:, None, None, None], faces.flip(2), faces).float()
    mean = mirrored.mean(dim=(1, 2, 3), keepdim=True)
    contrast = 1.0 + CONTRAST * torch.randn(len(faces), 1, 1, 1)
    light = 255.0 * BRIGHTNESS * torch.randn(len(faces), 1, 1, 1)
    return ((mirrored - mean) * contrast + mean + light).clamp(0, 255).round().to(torch.uint8)

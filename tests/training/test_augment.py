"""Random changes of sound and faces: they stay sound and faces, and change what they say they change."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from vavl.training import augment
from vavl.training.augment import BRIGHTNESS, SPEED, change_faces, change_sound

RATE = 16_000
few = settings(max_examples=25, deadline=None)
seeds = st.integers(0, 2**31)


def padded(lengths: list[int], seed: int, loudness: float = 0.3) -> tuple[Tensor, Tensor]:
    """Noise of these lengths, padded with zeros, and the lengths."""
    generator = torch.Generator().manual_seed(seed)
    waveform = torch.zeros(len(lengths), max(lengths))
    for row, length in zip(waveform, lengths, strict=True):
        row[:length] = (loudness * torch.randn(length, generator=generator)).clamp(-1, 1)
    return waveform, torch.tensor(lengths)


def faces(count: int, seed: int = 0, size: tuple[int, int] = (6, 5)) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, *size, 3), dtype=torch.uint8, generator=generator)


# Sound.


@few
@given(
    lengths=st.lists(st.integers(1, 3000), min_size=1, max_size=5),
    loudness=st.floats(0.01, 5.0),
    seed=seeds,
)
def test_changed_sound_is_sound_of_a_length_that_fits_its_speed(lengths: list[int], loudness: float, seed: int) -> None:
    waveform, samples = padded(lengths, seed, loudness)
    before = waveform.clone(), samples.clone()
    torch.manual_seed(seed)
    changed, after = change_sound(waveform, samples)
    assert torch.equal(waveform, before[0]) and torch.equal(samples, before[1])
    assert (changed.dtype, after.dtype) == (torch.float32, torch.int64)
    assert changed.shape == (len(lengths), int(after.max()))
    assert torch.isfinite(changed).all() and changed.abs().max() <= 1
    for row, length, old in zip(changed, after.tolist(), lengths, strict=True):
        assert max(1, old / (1 + SPEED) - 1) <= length <= max(1, old / (1 - SPEED) + 1)
        assert not row[length:].any()


@few
@given(minimum=st.integers(1, 1500), extra=st.lists(st.integers(0, 500), min_size=1, max_size=5), seed=seeds)
def test_no_clip_becomes_too_short_for_the_encoder(minimum: int, extra: list[int], seed: int) -> None:
    waveform, samples = padded([minimum + more for more in extra], seed)
    torch.manual_seed(seed)
    changed, after = change_sound(waveform, samples, minimum)
    assert (after >= minimum).all()
    assert changed.shape[1] == after.max()


@few
@given(hz=st.floats(100.0, 400.0), seed=seeds)
def test_speed_changes_pitch_and_length_by_the_same_factor(hz: float, seed: int) -> None:
    tone = 0.3 * torch.sin(2 * np.pi * hz * torch.arange(RATE, dtype=torch.float64) / RATE).float()
    torch.manual_seed(seed)
    changed, samples = change_sound(tone.expand(3, -1), torch.full((3,), RATE))
    factors = RATE / samples.double()
    assert ((factors >= 1 - SPEED - 1e-3) & (factors <= 1 + SPEED + 1e-3)).all()
    for row, length, factor in zip(changed, samples, factors, strict=True):
        spectrum = np.abs(np.fft.rfft(row[:length].numpy() * np.hanning(length), 8 * RATE))
        assert spectrum.argmax() / 8 == pytest.approx(hz * float(factor), rel=0.01)


def test_clips_of_a_batch_change_differently_and_as_the_seed_says() -> None:
    waveform, samples = padded([5000] * 4, 0)
    torch.manual_seed(1)
    first, first_lengths = change_sound(waveform, samples)
    torch.manual_seed(1)
    again, again_lengths = change_sound(waveform, samples)
    assert torch.equal(first, again) and torch.equal(first_lengths, again_lengths)
    assert len(set(first_lengths.tolist())) == 4
    assert not torch.equal(change_sound(waveform, samples)[1], first_lengths)


def test_loudness_changes_and_nothing_else_at_the_same_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(augment, "SPEED", 0.0)
    waveform, samples = padded([3000, 2000, 2500], 0, loudness=0.05)
    torch.manual_seed(0)
    changed, after = change_sound(waveform, samples)
    assert torch.equal(after, samples)
    gains = changed.norm(dim=1) / waveform.norm(dim=1)
    torch.testing.assert_close(changed, waveform * gains[:, None])
    assert len(set(gains.tolist())) == 3


def test_without_speed_and_gain_sound_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SPEED", "GAIN_DB"):
        monkeypatch.setattr(augment, name, 0.0)
    waveform, samples = padded([3000, 17, 1], 0)
    changed, after = change_sound(waveform, samples)
    assert torch.equal(changed, waveform) and torch.equal(after, samples)


# Faces.


@few
@given(count=st.integers(1, 5), seed=seeds)
def test_changed_faces_are_faces(count: int, seed: int) -> None:
    pictures = faces(count, seed)
    before = pictures.clone()
    torch.manual_seed(seed)
    changed = change_faces(pictures)
    assert torch.equal(pictures, before)
    assert (changed.dtype, changed.shape) == (torch.uint8, pictures.shape)
    torch.manual_seed(seed)
    assert torch.equal(change_faces(pictures), changed)


@few
@given(count=st.integers(1, 6), seed=seeds)
def test_the_mirror_undoes_itself(count: int, seed: int) -> None:
    """With light and contrast left alone a picture is itself or its mirror image, and twice mirrored itself."""
    pictures = faces(count, seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(augment, "BRIGHTNESS", 0.0)
        patch.setattr(augment, "CONTRAST", 0.0)
        torch.manual_seed(seed)
        once = change_faces(pictures)
        torch.manual_seed(seed)
        twice = change_faces(once)
    assert torch.equal(twice, pictures)
    for picture, changed in zip(pictures, once, strict=True):
        assert torch.equal(changed, picture) or torch.equal(changed, picture.flip(1))


def test_about_half_of_the_faces_are_mirrored(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BRIGHTNESS", "CONTRAST"):
        monkeypatch.setattr(augment, name, 0.0)
    pictures = faces(400)
    torch.manual_seed(0)
    mirrored = (change_faces(pictures) != pictures).flatten(1).any(dim=1)
    assert 0.4 < mirrored.float().mean() < 0.6


def test_light_moves_all_pixels_of_a_face_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(augment, "CONTRAST", 0.0)
    grey = torch.full((200, 4, 4, 3), 128, dtype=torch.uint8)
    torch.manual_seed(0)
    light = change_faces(grey).float()
    assert (light.flatten(1).std(dim=1) == 0).all()
    moved = (light[:, 0, 0, 0] - 128) / 255
    assert float(moved.std()) == pytest.approx(BRIGHTNESS, rel=0.2)
    assert abs(float(moved.mean())) < 0.05


def test_contrast_stretches_around_the_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(augment, "BRIGHTNESS", 0.0)
    halves = torch.full((50, 4, 4, 3), 108, dtype=torch.uint8)
    halves[:, 2:] = 148  # mean 128, the same on both sides of the mirror
    torch.manual_seed(0)
    changed = change_faces(halves).float()
    torch.testing.assert_close(changed.mean(dim=(1, 2, 3)), torch.full((50,), 128.0), atol=0.5, rtol=0)
    assert (changed[:, 2:] - changed[:, :2]).mean(dim=(1, 2, 3)).std() > 2

"""Prosody: sounds whose pitch, periodicity and loudness are known, and the statistics against NumPy in float64."""

from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import expit, logsumexp

from vavl.encoders.prosody import FIELD, HOP, TRANSFORM, WINDOW, Prosody, ProsodyStatistics, frame_count, mel_filters
from vavl.model.masking import length_mask

RATE = 16_000
BANDS = 20
Floats = NDArray[np.float64]
few = settings(max_examples=15, deadline=None)
pitches = st.floats(80.0, 400.0)
seeds = st.integers(0, 2**32 - 1)


@cache
def prosody() -> Prosody:
    return Prosody(BANDS)


def voice(hz: float, harmonics: int, seed: int) -> Floats:
    """Half a second of harmonics, each weaker than the one below, with random phases; root mean square 0.1."""
    phases = np.random.default_rng(seed).uniform(0, 2 * np.pi, harmonics)
    time = np.arange(RATE // 2) / RATE
    parts = [np.sin(2 * np.pi * hz * (k + 1) * time + phase) / (k + 1) for k, phase in enumerate(phases)]
    sound = np.sum(parts, axis=0)
    return np.asarray(0.1 * sound / np.sqrt(np.mean(sound**2)))


def noise(samples: int, seed: int) -> Floats:
    """White noise, root mean square 0.1."""
    return 0.1 * np.random.default_rng(seed).standard_normal(samples)


def measure(sound: Floats) -> list[Floats]:
    """Log-mel, pitch, periodicity and energy of a clip."""
    waveform = torch.tensor(sound, dtype=torch.float32)[None]
    return [part[0].double().numpy() for part in prosody()(waveform, torch.tensor([len(sound)]))]


def inner(frames: Floats) -> Floats:
    """Frames that do not reach beyond the clip's ends."""
    return frames[1:-1]


@few
@given(hz=pitches, harmonics=st.integers(1, 8), seed=seeds)
def test_pitch_of_a_periodic_sound(hz: float, harmonics: int, seed: int) -> None:
    _, pitch, periodicity, _ = measure(voice(hz, harmonics, seed))
    np.testing.assert_allclose(100 * 2 ** inner(pitch), hz, rtol=0.03)
    assert inner(periodicity).min() > 0.95


@few
@given(hz=pitches, harmonics=st.integers(1, 8), seed=seeds)
def test_pitch_in_noise_ten_decibels_below(hz: float, harmonics: int, seed: int) -> None:
    sound = voice(hz, harmonics, seed)
    _, pitch, _, _ = measure(sound + 10 ** (-10 / 20) * noise(len(sound), seed))
    error = np.abs(100 * 2 ** inner(pitch) / hz - 1)
    assert np.mean(error <= 0.03) >= 0.9
    assert error.max() <= 0.1  # no frame is an octave off


@few
@given(seed=seeds)
def test_noise_is_not_periodic(seed: int) -> None:
    _, _, periodicity, _ = measure(noise(RATE, seed))
    assert inner(periodicity).max() < 0.5


def test_silence_is_neither_periodic_nor_loud() -> None:
    mel, pitch, periodicity, energy = measure(np.zeros(RATE))
    assert np.isfinite(pitch).all()
    assert (periodicity == 0).all()
    np.testing.assert_allclose(energy, np.log(1e-5), rtol=1e-6)
    np.testing.assert_allclose(mel, np.log(1e-6), rtol=1e-6)


@few
@given(gain=st.floats(0.05, 5.0), hz=pitches, seed=seeds)
def test_gain_moves_loudness_and_nothing_else(gain: float, hz: float, seed: int) -> None:
    sound = voice(hz, 4, seed)
    _, pitch, periodicity, energy = measure(sound)
    _, louder_pitch, louder_periodicity, louder_energy = measure(gain * sound)
    np.testing.assert_allclose(louder_energy - energy, 2 * np.log(gain), atol=0.01)
    np.testing.assert_allclose(louder_pitch, pitch, atol=0.01)
    np.testing.assert_allclose(louder_periodicity, periodicity, atol=0.02)


@few
@given(samples=st.integers(FIELD, 4000), seed=seeds)
def test_spectrum_and_energy_equal_a_straight_computation(samples: int, seed: int) -> None:
    sound = noise(samples, seed)
    mel, _, _, energy = measure(sound)
    margin = (WINDOW - FIELD) // 2
    padded = np.pad(sound.astype(np.float32).astype(np.float64), margin)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)
    starts = range(0, samples - FIELD + 1, HOP)
    frames = np.stack([padded[start : start + WINDOW] * hann for start in starts])
    power = np.abs(np.fft.rfft(frames, TRANSFORM)) ** 2
    filters = mel_filters(BANDS, TRANSFORM // 2 + 1).double().numpy()
    np.testing.assert_allclose(energy, np.log(np.sum(frames**2, axis=1) + 1e-5), atol=1e-4)
    np.testing.assert_allclose(mel, np.log(power @ filters.T + 1e-6), atol=1e-3)


@pytest.mark.parametrize("bands", [8, 40, 64])
def test_mel_filters_share_out_every_frequency_between_the_outer_bands(bands: int) -> None:
    bins = TRANSFORM // 2 + 1
    filters = mel_filters(bands, bins)
    hz = torch.linspace(0, RATE / 2, bins)
    assert filters.shape == (bands, bins)
    assert (filters >= 0).all() and (filters.sum(dim=1) > 0).all()
    assert (filters[:, (hz <= 50) | (hz >= 7600)] == 0).all()
    centres = filters.argmax(dim=1)
    assert (centres.diff() > 0).all()
    inside = slice(int(centres[0]) + 1, int(centres[-1]))
    torch.testing.assert_close(filters.sum(dim=0)[inside], torch.ones(bins)[inside])


@given(samples=st.integers(FIELD, 200_000))
def test_frames_are_those_whose_field_is_complete(samples: int) -> None:
    assert frame_count(torch.tensor([samples])).tolist() == [len(range(0, samples - FIELD + 1, HOP))]


@few
@given(sizes=st.lists(st.integers(FIELD, 6000), min_size=1, max_size=3), padding=st.integers(0, 3000), seed=seeds)
def test_what_stands_behind_the_end_is_not_measured(sizes: list[int], padding: int, seed: int) -> None:
    clips = [torch.tensor(noise(size, seed + size), dtype=torch.float32) for size in sizes]
    waveform = torch.full((len(sizes), max(sizes) + padding), 0.7)
    for row, clip in zip(waveform, clips, strict=True):
        row[: len(clip)] = clip
    together = prosody()(waveform, torch.tensor(sizes))
    for number, clip in enumerate(clips):
        frames = int(frame_count(torch.tensor(len(clip))))
        for part, alone in zip(together, prosody()(clip[None], torch.tensor([len(clip)])), strict=True):
            assert alone.shape[1] == frames
            torch.testing.assert_close(part[number, :frames], alone[0], atol=1e-3, rtol=1e-4)


# Statistics.


def shape_of(x: Floats, weights: Floats, sharpness: float) -> list[float]:
    """Mean, deviation, and smooth maximum and minimum relative to the mean."""
    mean = np.average(x, weights=weights)
    away = np.clip(x - mean, -20 / sharpness, 20 / sharpness)
    share = weights / weights.sum()
    return [
        mean,
        np.sqrt(np.average(away**2, weights=weights) + 1e-4),
        logsumexp(sharpness * away, b=share) / sharpness,
        -logsumexp(-sharpness * away, b=share) / sharpness,
    ]


def statistics_of(mel: Floats, pitch: Floats, periodicity: Floats, energy: Floats) -> Floats:
    """The statistics of one clip without padding, in the order of the encoder's columns."""
    semitones = 12 * pitch
    uniform = np.ones(len(pitch))
    loud = expit(energy - energy.mean())
    voiced = loud * expit(15 * (periodicity - 0.6))
    glide = np.clip(np.diff(semitones, prepend=semitones[0]), -3, 3)
    swell = np.diff(energy, prepend=energy[0])
    return np.concatenate(
        [
            shape_of(semitones, voiced, 0.5),
            shape_of(energy, loud, 1.0),
            shape_of(periodicity, loud, 5.0),
            shape_of(glide, voiced, 1.0)[:2],
            [np.average(np.abs(glide), weights=voiced)],
            shape_of(swell, uniform, 1.0),
            [np.mean(np.abs(swell)), np.mean(expit(30 * (periodicity - 0.6))), np.log(len(pitch))],
            shape_of(energy, uniform, 1.0)[:2],
            [np.cov(semitones, energy, ddof=0, aweights=voiced)[0, 1]],
            mel.mean(axis=0),
            np.sqrt(mel.var(axis=0) + 1e-4),
        ]
    )


def frames_of(count: int, seed: int) -> list[Floats]:
    """Random log-mel, pitch, periodicity and energy, one frame at least surely voiced."""
    random = np.random.default_rng(seed)
    periodicity = random.uniform(0, 1, count)
    periodicity[random.integers(count)] = 0.9
    return [
        random.normal(-4, 2, (count, BANDS)),
        random.uniform(-0.5, 2.3, count),
        periodicity,
        random.normal(-3, 2, count),
    ]


@few
@given(counts=st.lists(st.integers(2, 60), min_size=1, max_size=4), padding=st.integers(0, 9), seed=seeds)
def test_statistics_equal_float64(counts: list[int], padding: int, seed: int) -> None:
    clips = [frames_of(count, seed + number) for number, count in enumerate(counts)]
    longest = max(counts) + padding
    parts = []
    for place, fill in enumerate((30.0, 2.3, 1.0, 9.0)):  # padding that would be the loudest of all
        padded = torch.full((len(counts), longest, *clips[0][place].shape[1:]), fill)
        for row, clip in zip(padded, clips, strict=True):
            row[: len(clip[place])] = torch.tensor(clip[place])
        parts.append(padded)
    statistics = ProsodyStatistics(BANDS)
    got = statistics(*parts, length_mask(torch.tensor(counts), longest))
    assert got.shape == (len(counts), statistics.dim)
    for row, clip in zip(got, clips, strict=True):
        np.testing.assert_allclose(row.numpy(), statistics_of(*clip), atol=5e-3, rtol=1e-3)


def test_statistics_of_a_clip_without_a_voice_are_finite() -> None:
    waveform = torch.stack([torch.zeros(RATE), torch.tensor(noise(RATE, 0), dtype=torch.float32)])
    measured = prosody()(waveform, torch.tensor([RATE, RATE]))
    mask = torch.ones(measured[1].shape)
    assert torch.isfinite(ProsodyStatistics(BANDS)(*measured, mask)).all()

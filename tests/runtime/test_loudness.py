"""What a muted microphone gives is silence; a quiet voice is not."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.runtime.made_media import tone
from tests.runtime.made_sound import RATE, voice
from vavl_runtime.bundle.manifest import Limits
from vavl_runtime.media import open_source
from vavl_runtime.media.loudness import is_heard

SILENCE_DBFS = Limits().silence_dbfs


def level(dbfs: float) -> np.float32:
    return np.float32(10 ** (dbfs / 20))


def clicks(every_s: float, length_ms: float, peak_dbfs: float) -> NDArray[np.float32]:
    sound = np.zeros(3 * RATE, np.float32)
    length = max(1, round(length_ms * RATE / 1000))
    shape = np.random.default_rng(1).choice([-1.0, 1.0], length) * np.exp(-3 * np.arange(length) / length)
    for start in range(RATE // 10, len(sound) - length, round(every_s * RATE)):
        sound[start : start + length] += level(peak_dbfs) * shape
    return sound


def hum(frequency: float, dbfs: float, harmonic_db: float = -20.0) -> NDArray[np.float32]:
    time = np.arange(3 * RATE) / RATE
    parts = (level(dbfs + harmonic_db * k) * np.sin(2 * np.pi * frequency * (k + 1) * time + k) for k in range(6))
    return np.sum(list(parts), axis=0).astype(np.float32)


@given(every_s=st.floats(0.3, 3.0), length_ms=st.floats(0.05, 20.0), peak_dbfs=st.floats(-60.0, 0.0))
def test_clicks_are_silence(every_s: float, length_ms: float, peak_dbfs: float) -> None:
    assert not is_heard(clicks(every_s, length_ms, peak_dbfs), SILENCE_DBFS)


@given(frequency=st.sampled_from([50.0, 60.0, 100.0, 120.0]), dbfs=st.floats(-80.0, -30.0))
def test_hum_is_silence(frequency: float, dbfs: float) -> None:
    assert not is_heard(hum(frequency, dbfs), SILENCE_DBFS)


@pytest.mark.parametrize("rms_dbfs", [-60.0, -70.0, -90.0])
@pytest.mark.parametrize("seconds", [0.1, 0.5, 3.0, 12.0])
def test_hiss_is_silence(rms_dbfs: float, seconds: float) -> None:
    noise = np.random.default_rng(2).standard_normal(round(seconds * RATE)).astype(np.float32)
    assert not is_heard(level(rms_dbfs) * noise, SILENCE_DBFS)


@given(st.floats(-1.0, 1.0))
def test_an_offset_is_silence(offset: float) -> None:
    assert not is_heard(np.full(2 * RATE, offset, np.float32), SILENCE_DBFS)


@given(peak_dbfs=st.floats(-50.0, 0.0), offset=st.floats(-0.2, 0.2), seconds=st.floats(0.3, 13.0))
def test_a_quiet_voice_is_heard(peak_dbfs: float, offset: float, seconds: float) -> None:
    assert is_heard(voice(seconds, float(level(peak_dbfs))) + np.float32(offset), SILENCE_DBFS)


@pytest.mark.parametrize("samples", [1, 400, 800, 1600, 16_000])
def test_loud_sound_of_any_length_is_heard(samples: int) -> None:
    assert is_heard(tone(1.0)[:samples], SILENCE_DBFS) == (samples > 1)


def test_the_bundle_sets_the_level() -> None:
    quiet = voice(2.0, float(level(-75.0)))
    assert not is_heard(quiet, SILENCE_DBFS)
    assert is_heard(quiet, -80.0)


def test_no_samples_are_silence() -> None:
    assert not is_heard(np.zeros(0, np.float32), SILENCE_DBFS)


def test_real_speech_is_heard_at_minus_50(shared: Path) -> None:
    """Each recording is scaled so that its loudest sample is at -50 dBFS."""
    files = sorted((shared / "corpora" / "javanese" / "audio").glob("*.flac"))[::20]
    if not files:
        pytest.skip("no recordings of speech among the real media")
    for file in files:
        sound = np.concatenate([block.samples for block in open_source(file, Limits()).sound()])
        assert is_heard(sound * (level(-50.0) / np.abs(sound).max()), SILENCE_DBFS), file

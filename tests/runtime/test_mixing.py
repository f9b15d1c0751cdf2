"""One voice is as loud in any number of channels, whatever the others hold."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.runtime.made_sound import RATE, voice, write_channels
from vavl_runtime import ArrayClip, Recognizer
from vavl_runtime.bundle.manifest import Limits
from vavl_runtime.media import open_source
from vavl_runtime.media.mixing import Mixer, as_channels

VOICE = voice()
NOISE = np.random.default_rng(0).standard_normal((64, len(VOICE))).astype(np.float32)


def mixed(*channels: NDArray[np.float32]) -> NDArray[np.float32]:
    return Mixer().mono(np.stack(channels))


def near(found: NDArray[np.float32], wanted: NDArray[np.float32], most: float = 1e-6) -> bool:
    return found.shape == wanted.shape and bool(np.abs(found - wanted).max() <= most)


def read(path: Path) -> NDArray[np.float32]:
    return np.concatenate([block.samples for block in open_source(path, Limits()).sound()])


@pytest.mark.parametrize("count", range(1, 65))
def test_the_same_voice_in_all_channels(count: int, tmp_path: Path) -> None:
    assert near(read(write_channels(tmp_path / "voice.wav", [VOICE] * count)), VOICE)


@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000])
@pytest.mark.parametrize("count", [2, 6, 25])
def test_at_other_rates_it_is_that_of_one_channel(count: int, rate: int, tmp_path: Path) -> None:
    one = read(write_channels(tmp_path / "one.wav", [VOICE], rate))
    many = read(write_channels(tmp_path / "many.wav", [VOICE] * count, rate))
    assert len(one) == pytest.approx(len(VOICE) * RATE / rate, abs=2)
    assert near(many, one)


@given(count=st.integers(2, 64), place=st.integers(0, 63), faint=st.sampled_from([0.0, 1e-5, 5e-4]))
def test_alone_among_silent_channels_it_is_as_loud_as_alone(count: int, place: int, faint: float) -> None:
    channels = faint * NOISE[:count]
    channels[place % count] = VOICE
    assert near(mixed(*channels), VOICE)


@given(gains=st.lists(st.floats(0.2, 1.0), min_size=1, max_size=16))
def test_the_mean_of_channels_of_different_loudness(gains: list[float]) -> None:
    channels = [np.float32(gain) * VOICE for gain in gains]
    assert near(mixed(*channels), np.mean(gains) * VOICE, 1e-5)


@given(st.lists(st.floats(-0.2, 0.2), min_size=1, max_size=8))
def test_offsets_of_channels_are_removed(offsets: list[float]) -> None:
    assert near(mixed(*(VOICE + np.float32(offset) for offset in offsets)), VOICE, 1e-5)


@pytest.mark.parametrize("signs", [(1, -1), (1, 1, 1, -1), (1, -1, 1, -1, 1, -1), (1, 1, -1, -1, 0)])
def test_channels_that_cancel_are_not_mixed(signs: tuple[int, ...]) -> None:
    assert near(mixed(*(sign * VOICE for sign in signs)), VOICE)


def test_the_stronger_of_two_that_cancel() -> None:
    assert near(mixed(0.9 * VOICE, -VOICE), -VOICE)


def test_its_sign_does_not_come_and_go() -> None:
    mixer = Mixer()
    first = mixer.mono(np.stack([VOICE, -0.99 * VOICE]))
    second = mixer.mono(np.stack([0.99 * VOICE, -VOICE]))
    assert near(second, 0.99 * first)


@given(channels=st.integers(1, 8), seed=st.integers(0, 99))
def test_nothing_is_louder_than_the_loudest_channel(channels: int, seed: int) -> None:
    samples = np.random.default_rng(seed).uniform(-1, 1, (channels, 500)).astype(np.float32)
    centred = samples - samples.mean(axis=1, keepdims=True)
    assert np.abs(mixed(*samples)).max() <= np.abs(centred).max() + 1e-6


def test_silent_channels_give_silence() -> None:
    assert not mixed(np.zeros(100, np.float32), np.zeros(100, np.float32)).any()


@pytest.mark.parametrize(("kind", "zero", "full"), [("u1", 128, 128), ("i2", 0, 2**15), ("i4", 0, 2**31)])
@pytest.mark.parametrize("planar", [True, False])
def test_full_scale_is_one(kind: str, zero: int, full: int, planar: bool) -> None:
    wanted = np.array([[0.5, 0.0, -1.0], [-0.5, 0.25, 0.0]], np.float32)
    held = (wanted * full + zero).astype(kind)
    parts = [held[:, :2], held[:, 2:]] if planar else [held.T[:2].reshape(1, -1), held.T[2:].reshape(1, -1)]
    assert np.array_equal(as_channels(parts, 2, planar=planar), wanted)


@pytest.mark.parametrize("count", [2, 6, 25])
def test_the_answer_is_that_of_one_channel(count: int, recognizer: Recognizer, tmp_path: Path) -> None:
    one = recognizer.predict(write_channels(tmp_path / "one.wav", [VOICE]))
    many = recognizer.predict(write_channels(tmp_path / "many.wav", [VOICE + np.float32(0.02)] * count))
    assert many.scores == pytest.approx(dict(one.scores), abs=0.01)


def test_an_array_and_a_file_give_the_same_answer(recognizer: Recognizer, tmp_path: Path) -> None:
    sound = np.concatenate([voice(11.0), voice(3.0, 0.1)]) + np.float32(0.01)  # more than one stretch
    file = recognizer.predict(write_channels(tmp_path / "long.wav", [sound]))
    array = recognizer.predict(ArrayClip(audio=sound))
    assert array.scores == pytest.approx(dict(file.scores), abs=1e-3)
    assert sound.mean() == pytest.approx(0.01, abs=1e-3)  # the caller's array is as it was

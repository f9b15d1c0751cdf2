"""Tokens of faces follow the clock, not the frames."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from vavl_runtime.faces import track_face
from vavl_runtime.media import Frame
from vavl_runtime.pipeline.token_clock import GAP_S, on_clock

RATES = st.floats(5.0, 120.0)
RATE = 29.97


def movement(times_s: NDArray[np.float64]) -> NDArray[np.float32]:
    """A feature that grows and one that shrinks with time, shape (N, 2)."""
    return np.stack([times_s, 3.0 - 2.0 * times_s], axis=1).astype(np.float32)


@given(RATES, st.integers(1, 200), st.floats(0.0, 1000.0))
def test_the_frame_rate_does_not_matter(frames_per_s: float, count: int, start_s: float) -> None:
    times_s = start_s + np.arange(count) / frames_per_s
    tokens = on_clock(movement(times_s), times_s, RATE)
    places_s = start_s + np.arange(len(tokens)) / RATE
    assert len(tokens) == pytest.approx((times_s[-1] - start_s) * RATE + 1, abs=1.0)
    np.testing.assert_allclose(tokens, movement(places_s), atol=0.05 / RATE * 2 + 1e-3)


@given(st.integers(1, 300), st.sampled_from([0.0, 0.0005]), st.integers(0, 2**32 - 1))
def test_a_film_of_the_models_own_rate_stays_as_it_is(count: int, jitter_s: float, seed: int) -> None:
    """Also where its time stamps are whole milliseconds."""
    generator = np.random.default_rng(seed)
    times_s = np.arange(count) / (30_000 / 1001)
    times_s[1:] += generator.uniform(-jitter_s, jitter_s, count - 1)
    features = generator.normal(size=(count, 3)).astype(np.float32)
    np.testing.assert_array_equal(on_clock(features, times_s, RATE), features)


def test_nothing_is_made_up_where_no_face_was_seen() -> None:
    seen_s = np.concatenate([np.arange(0.0, 1.0, 0.04), np.arange(1.0 + 2 * GAP_S, 3.0, 0.04)])
    tokens = on_clock(movement(seen_s), seen_s, RATE)
    gap = (tokens[:, 0] > 0.97) & (tokens[:, 0] < 1.0 + 2 * GAP_S - 0.01)
    assert not gap.any()
    assert len(tokens) == pytest.approx((0.96 + 0.96) * RATE + 2, abs=2)


@given(st.lists(st.floats(0.0, 20.0), min_size=1, max_size=60), RATES)
def test_any_times(times_s: list[float], rate: float) -> None:
    """Every stretch of faces gives a token, none lies outside what was seen, and no time stands still or runs away."""
    ordered = np.sort(np.array(times_s))
    features = movement(ordered)
    tokens = on_clock(features, ordered, rate)
    stretches = 1 + int((np.diff(ordered) > GAP_S).sum())
    assert stretches <= len(tokens) <= (ordered[-1] - ordered[0]) * rate + stretches + 1
    assert np.isfinite(tokens).all()
    assert features.min() <= tokens.min() and tokens.max() <= features.max()


def film(frames_per_s: float, seconds: float) -> Iterator[Frame]:
    for number in range(round(frames_per_s * seconds)):
        yield Frame(number / frames_per_s, np.zeros((4, 4, 3), np.uint8), 1.0 / frames_per_s)


def detections(frames: Iterator[Frame], rate: float | None) -> list[float]:
    """When the detector is asked, seconds, for a face that is always there."""
    asked: list[float] = []

    def locate(frame: Frame) -> NDArray[np.float32]:
        asked.append(frame.time_s)
        return np.float32([0, 0, 4, 4])

    for _ in track_face(frames, locate, 5, rate):
        pass
    return asked


@given(RATES)
def test_faces_are_searched_as_often_in_time(frames_per_s: float) -> None:
    steps = np.diff(detections(film(frames_per_s, 4.0), RATE))[:-1]  # the last frame is always searched
    frame_s = 1.0 / frames_per_s
    assert steps.max() <= 5 / RATE + frame_s + 1e-9
    assert steps.max() <= 5 * frame_s + 1e-9  # which bounds what is held in memory
    if frames_per_s < RATE:
        assert steps.min() >= 4.9 / RATE - 1e-9


def test_at_the_models_own_rate_every_fifth_frame_is_searched() -> None:
    asked = detections(film(30_000 / 1001, 4.0), RATE)
    np.testing.assert_allclose(np.array(asked[:-1]) * 30_000 / 1001, np.arange(0, 120, 5), atol=1e-6)
    assert asked == detections(film(30_000 / 1001, 4.0), None)

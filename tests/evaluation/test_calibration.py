"""Calibration: the error against a plain loop, and what a temperature may and may not change."""

import itertools

import numpy as np
import pytest
import scipy.special
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.evaluation.made_results import shares
from vavl.evaluation.calibration import (
    TEMPERATURES,
    apply_temperature,
    expected_calibration_error,
    fit_temperature,
    negative_log_likelihood,
    reliability,
)
from vavl_runtime.errors import InvalidArrayError

many = settings(max_examples=100, deadline=None)
logits = arrays(np.float64, st.tuples(st.integers(1, 20), st.integers(2, 5)), elements=st.floats(-20, 20))
temperatures = st.floats(*TEMPERATURES)


def targets(logits: np.ndarray, seed: int) -> np.ndarray:
    rows, outputs = logits.shape
    return shares(np.random.default_rng(seed).integers(0, outputs, rows).tolist(), outputs)


def looped_error(probabilities: np.ndarray, target: np.ndarray, bins: int) -> float:
    """Guo et al., equation 5, as it stands there."""
    edges = np.linspace(0, 1, bins + 1)
    error = 0.0
    for low, high in itertools.pairwise(edges):
        confidences, hits = [], []
        for row, right in zip(probabilities, target, strict=True):
            if low < max(row) <= high:
                confidences.append(max(row))
                hits.append(np.argmax(row) == np.argmax(right))
        if confidences:
            error += len(confidences) / len(probabilities) * abs(np.mean(hits) - np.mean(confidences))
    return error


@many
@given(logits=logits, seed=st.integers(0, 9), bins=st.integers(1, 20))
def test_calibration_error_equals_a_loop(logits: np.ndarray, seed: int, bins: int) -> None:
    probabilities, target = np.minimum(scipy.special.softmax(logits, axis=1), 1.0), targets(logits, seed)
    error = expected_calibration_error(probabilities, target, bins)
    assert error == pytest.approx(looped_error(probabilities, target, bins), abs=1e-12)
    assert 0 <= error <= 1
    assert sum(entry.clips for entry in reliability(probabilities, target, bins)) == len(logits)


def test_bins_are_closed_above() -> None:
    entries = reliability([[0.5, 0.5], [1.0, 0.0]], [[1, 0], [0, 1]], bins=2)
    assert [(entry.clips, entry.confidence, entry.accuracy) for entry in entries] == [(1, 0.5, 1.0), (1, 1.0, 0.0)]


def test_an_empty_bin_says_nothing() -> None:
    entry = reliability([[1.0, 0.0]], [[1, 0]])[0]
    assert (entry.clips, entry.confidence, entry.accuracy) == (0, None, None)


@many
@given(logits=logits, temperature=temperatures)
def test_temperature_is_the_softmax_of_divided_logits(logits: np.ndarray, temperature: float) -> None:
    scaled = apply_temperature(scipy.special.softmax(logits, axis=1), temperature)
    np.testing.assert_allclose(scaled, scipy.special.softmax(logits / temperature, axis=1), atol=1e-9)
    np.testing.assert_allclose(scaled.sum(axis=1), 1.0)


@many
@given(logits=logits, seed=st.integers(0, 9))
def test_a_fitted_temperature_never_hurts_and_keeps_decisions(logits: np.ndarray, seed: int) -> None:
    probabilities, target = scipy.special.softmax(logits, axis=1), targets(logits, seed)
    temperature = fit_temperature(probabilities, target)
    assert TEMPERATURES[0] <= temperature <= TEMPERATURES[1]
    scaled = apply_temperature(probabilities, temperature)
    before, after = negative_log_likelihood(probabilities, target), negative_log_likelihood(scaled, target)
    assert after <= before + 1e-9
    winners = np.take_along_axis(scaled, probabilities.argmax(axis=1)[:, None], axis=1)[:, 0]
    np.testing.assert_allclose(winners, scaled.max(axis=1), rtol=1e-12)


@many
@given(logits=logits, seed=st.integers(0, 9))
def test_no_temperature_of_a_grid_beats_the_fitted_one(logits: np.ndarray, seed: int) -> None:
    probabilities, target = scipy.special.softmax(logits, axis=1), targets(logits, seed)
    fitted = negative_log_likelihood(probabilities, target, fit_temperature(probabilities, target))
    grid = [negative_log_likelihood(probabilities, target, t) for t in np.geomspace(*TEMPERATURES, 21)]
    assert fitted <= min(grid) + 1e-4


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_of_the_data_is_recovered(temperature: float) -> None:
    rng = np.random.default_rng(1)
    logits = 2 * rng.normal(size=(20000, 4))
    calibrated = scipy.special.softmax(logits, axis=1)
    drawn = (calibrated.cumsum(axis=1) < rng.random((len(logits), 1))).sum(axis=1)
    target = shares(drawn.tolist(), 4)
    seen = scipy.special.softmax(temperature * logits, axis=1)
    fitted = fit_temperature(seen, target)
    assert fitted == pytest.approx(temperature, rel=0.03)
    error = expected_calibration_error(apply_temperature(seen, fitted), target)
    assert error < 0.015
    if temperature != 1.0:
        assert error < expected_calibration_error(seen, target) / 3


@pytest.mark.parametrize("right", [True, False])
def test_certainty_has_a_finite_likelihood(right: bool) -> None:
    certain = shares([0, 1])
    target = certain if right else shares([1, 0])
    assert np.isfinite(negative_log_likelihood(certain, target))
    assert fit_temperature(certain, target) == pytest.approx(1.0 if right else TEMPERATURES[1], rel=1e-3)


def test_answers_that_say_nothing_keep_their_temperature() -> None:
    assert fit_temperature(np.full((4, 3), 1 / 3), shares([0, 1, 2, 0])) == 1.0


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan"), float("inf")])
def test_a_temperature_is_positive(temperature: float) -> None:
    with pytest.raises(InvalidArrayError, match="expected a positive number"):
        apply_temperature(shares([0]), temperature)

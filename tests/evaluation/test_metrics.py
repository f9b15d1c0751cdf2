"""Metrics against scikit-learn and independent float64 computations, on random and degenerate input."""

import math
from fractions import Fraction

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.evaluation.made_results import CLASSES, shares
from vavl.evaluation.metrics import (
    chance_level,
    class_recall,
    concordance,
    confusion_matrix,
    macro_f1,
    metric_names,
    micro_f1,
    path_metrics,
)
from vavl_runtime.errors import InvalidArrayError

many = settings(max_examples=100, deadline=None)
decisions = st.integers(2, 6).flatmap(
    lambda outputs: st.tuples(
        st.just(outputs), st.lists(st.tuples(*[st.integers(0, outputs - 1)] * 2), min_size=1, max_size=40)
    )
)


@many
@given(decisions)
@example((6, [(0, 0)]))  # one clip, five classes absent
@example((3, [(2, 1), (2, 1)]))  # nothing right
def test_f1_and_confusion_equal_scikit_learn(case: tuple[int, list[tuple[int, int]]]) -> None:
    outputs, pairs = case
    true, predicted = (list(side) for side in zip(*pairs, strict=True))
    prediction, target = shares(predicted, outputs, 0.7), shares(true, outputs)
    options = {"labels": list(range(outputs)), "zero_division": 0}
    assert macro_f1(prediction, target) == sklearn.metrics.f1_score(true, predicted, average="macro", **options)
    assert micro_f1(prediction, target) == sklearn.metrics.f1_score(true, predicted, average="micro", **options)
    assert micro_f1(prediction, target) == pytest.approx(np.mean(np.equal(true, predicted)))
    counts = np.zeros((outputs, outputs), dtype=np.int64)
    np.add.at(counts, (true, predicted), 1)
    confusion = confusion_matrix(prediction, target)
    np.testing.assert_array_equal(confusion, counts)
    report = sklearn.metrics.classification_report(true, predicted, output_dict=True, **options)
    for label, recall in enumerate(class_recall(confusion)):
        assert recall == (pytest.approx(report[str(label)]["recall"]) if label in true else None)


def test_an_absent_class_counts_as_zero() -> None:
    perfect = shares([0, 1])
    assert macro_f1(perfect, perfect) == pytest.approx(2 / 3)
    assert micro_f1(perfect, perfect) == 1.0
    assert class_recall(confusion_matrix(perfect, perfect)) == (1.0, 1.0, None)


def test_the_largest_share_is_the_class() -> None:
    votes = [[0.4, 0.3, 0.3], [0.1, 0.2, 0.7]]
    assert confusion_matrix(votes, votes).tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 1]]


def exact_concordance(prediction: np.ndarray, target: np.ndarray) -> float:
    """The definition in exact fractions, rounded to float64 once at the end."""
    x, y = ([Fraction(float(value)) for value in values] for values in (prediction, target))
    n = len(x)
    mean_x, mean_y = sum(x) / n, sum(y) / n
    covariance = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / n
    spread = sum((a - mean_x) ** 2 for a in x) / n + sum((b - mean_y) ** 2 for b in y) / n
    denominator = spread + (mean_x - mean_y) ** 2
    return float(2 * covariance / denominator) if denominator else 0.0


scores = arrays(
    np.float64,
    st.tuples(st.just(2), st.integers(1, 12), st.integers(1, 3)),
    elements=st.integers(-40, 40).map(lambda step: step / 8),
)


@many
@given(scores)
def test_concordance_equals_the_definition(values: np.ndarray) -> None:
    result = concordance(*values)
    for column, got in enumerate(result):
        assert got == pytest.approx(exact_concordance(*values[:, :, column]), abs=1e-12)


@many
@given(
    constant=st.floats(-1e30, 1e30, allow_subnormal=False),
    length=st.integers(1, 30),
    others=st.lists(st.floats(-5, 5), min_size=30, max_size=30),
)
def test_constants_have_no_concordance(constant: float, length: int, others: list[float]) -> None:
    prediction, target = np.full((length, 1), constant), np.array(others[:length])[:, None]
    assert concordance(prediction, target) == 0.0
    assert concordance(target, prediction) == 0.0
    assert concordance(prediction, prediction) == 0.0


@many
@given(arrays(np.float64, (2, 7, 1), elements=st.floats(-1e38, 1e38)))
def test_concordance_is_never_nan_and_within_bounds(values: np.ndarray) -> None:
    result = concordance(*values)
    assert np.isfinite(result).all()
    assert (np.abs(result) <= 1 + 1e-9).all()


def test_concordance_of_agreement_contradiction_and_another_scale() -> None:
    rng = np.random.default_rng(0)
    target = rng.random((50, 2))
    prediction = target + rng.normal(size=(50, 2))
    np.testing.assert_allclose(concordance(target, target), 1.0)
    np.testing.assert_allclose(concordance(1 - target, target - target.mean(axis=0) + 0.5), -1.0, atol=0.2)
    np.testing.assert_allclose(concordance(1 + 4 * prediction, 1 + 4 * target), concordance(prediction, target))


def test_concordance_of_a_set_is_not_the_mean_over_its_batches() -> None:
    target = np.array([[0.0], [0.1], [0.9], [1.0]])
    prediction = np.array([[0.1], [0.0], [1.0], [0.9]])
    assert concordance(prediction, target)[0] > 0.9
    assert concordance(prediction[:2], target[:2])[0] == pytest.approx(-1.0)


def test_metrics_are_named_by_task() -> None:
    perfect = shares([0, 1, 2])
    assert path_metrics("classification", CLASSES, perfect, perfect) == {"macro_f1": 1.0, "micro_f1": 1.0}
    values = [[0.0, 0.1], [1.0, 0.1]]
    assert path_metrics("regression", ("arousal", "valence"), values, values) == {
        "ccc_arousal": 1.0,
        "ccc_valence": 0.0,
    }
    assert metric_names("regression", ("arousal",)) == ("ccc_arousal",)


@many
@given(decisions)
def test_no_constant_answer_exceeds_chance(case: tuple[int, list[tuple[int, int]]]) -> None:
    outputs, pairs = case
    target = shares([true for true, _ in pairs], outputs)
    chance = chance_level("macro_f1", outputs)
    assert chance == pytest.approx(1 / outputs)
    for constant in range(outputs):
        assert macro_f1(shares([constant] * len(pairs), outputs), target) <= chance + 1e-12


def test_uniform_guessing_comes_to_chance() -> None:
    rng = np.random.default_rng(0)
    target = shares(np.repeat(np.arange(6), 5000).tolist(), 6)
    assert macro_f1(rng.random(target.shape), target) == pytest.approx(chance_level("macro_f1", 6), abs=0.01)
    assert math.isclose(concordance(rng.random((30000, 1)), target[:, :1])[0], chance_level("ccc_x", 1), abs_tol=0.02)
    assert chance_level("micro_f1", 6) is None


def test_nothing_to_measure_is_refused() -> None:
    with pytest.raises(InvalidArrayError, match="neither of them 0"):
        macro_f1(np.empty((0, 3)), np.empty((0, 3)))

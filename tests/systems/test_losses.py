"""Losses: equal to independent computations, and safe on batches that carry nothing."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor

from vavl.systems.losses import EPSILON, concordance_loss, task_loss

many = settings(max_examples=100, deadline=None)
unit = st.floats(0, 1, width=32)
batches = arrays(np.float32, st.tuples(st.just(2), st.integers(2, 12), st.integers(1, 3)), elements=unit)


def reference_loss(prediction: np.ndarray, target: np.ndarray) -> float:
    """1 - CCC by NumPy's own moments in float64, summed over attributes, with the same guard of the denominator."""
    loss = 0.0
    for x, y in zip(prediction.T.astype(np.float64), target.T.astype(np.float64), strict=True):
        covariance = np.cov(x, y, ddof=0)
        distance = (x.mean() - y.mean()) ** 2
        loss += 1 - 2 * covariance[0, 1] / (covariance[0, 0] + covariance[1, 1] + distance + EPSILON)
    return loss


def loss_and_gradient(prediction: Tensor, target: Tensor, task: str = "regression") -> tuple[Tensor, Tensor]:
    prediction = prediction.clone().requires_grad_()
    loss = task_loss(task, prediction, target)
    loss.backward()
    return loss.detach(), prediction.grad


@many
@given(batches)
def test_concordance_loss_equals_float64(values: np.ndarray) -> None:
    loss = concordance_loss(*torch.from_numpy(values))
    assert loss.item() == pytest.approx(reference_loss(*values), abs=1e-4)
    assert -1e-5 <= loss.item() <= 2 * values.shape[2] + 1e-5


def test_gradient_is_the_numerical_one() -> None:
    torch.manual_seed(0)
    prediction, target = torch.rand(6, 2), torch.rand(6, 2)
    _, gradient = loss_and_gradient(prediction, target)
    step = 1e-5
    for row in range(6):
        for column in range(2):
            moved = [prediction.double().numpy().copy() for _ in range(2)]
            moved[0][row, column] += step
            moved[1][row, column] -= step
            numerical = (reference_loss(moved[0], target.numpy()) - reference_loss(moved[1], target.numpy())) / step / 2
            assert gradient[row, column].item() == pytest.approx(numerical, abs=1e-3)


DEGENERATE = {
    "both constant and equal": (torch.full((4, 3), 0.3), torch.full((4, 3), 0.3)),
    "both constant": (torch.full((4, 3), 0.3), torch.full((4, 3), 0.7)),
    "prediction constant": (torch.full((4, 3), 0.3), torch.rand(4, 3)),
    "target constant": (torch.rand(4, 3), torch.full((4, 3), 0.7)),
    "zeros": (torch.zeros(4, 3), torch.zeros(4, 3)),
    "one clip": (torch.rand(1, 3), torch.rand(1, 3)),
    "one clip hit": (torch.full((1, 3), 0.3), torch.full((1, 3), 0.3)),
    "two equal clips": (torch.full((2, 1), 0.1), torch.full((2, 1), 0.1)),
    "tiny": (1e-30 * torch.rand(4, 3), 1e-30 * torch.rand(4, 3)),
    "huge": (1e15 * torch.randn(4, 3), torch.rand(4, 3)),
    "one huge clip": (torch.full((1, 3), 1e15), torch.rand(1, 3)),
}


@pytest.mark.parametrize("name", DEGENERATE)
def test_degenerate_batches_have_finite_losses_and_gradients(name: str) -> None:
    loss, gradient = loss_and_gradient(*DEGENERATE[name])
    assert torch.isfinite(loss)
    assert torch.isfinite(gradient).all()


@many
@given(exponent=st.integers(-30, 17), rows=st.integers(1, 5), seed=st.integers(0, 99))
def test_any_magnitude_has_finite_loss_and_gradient(exponent: int, rows: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    prediction = 10.0**exponent * torch.randn(rows, 2, generator=generator)
    loss, gradient = loss_and_gradient(prediction, torch.rand(rows, 2, generator=generator))
    assert torch.isfinite(loss) and torch.isfinite(gradient).all()


def test_half_precision_is_computed_in_single() -> None:
    prediction = torch.tensor([[60000.0], [-60000.0], [1.0]], dtype=torch.float16)
    loss, gradient = loss_and_gradient(prediction, torch.tensor([[0.1], [0.2], [0.9]]))
    assert loss.dtype == torch.float32
    assert torch.isfinite(loss) and torch.isfinite(gradient).all()


def test_a_constant_target_teaches_nothing_and_one_clip_does() -> None:
    loss, gradient = loss_and_gradient(torch.tensor([[0.5], [0.5]]), torch.tensor([[0.2], [0.2]]))
    assert loss.item() == pytest.approx(1.0)
    assert gradient.abs().max().item() == 0.0
    loss, gradient = loss_and_gradient(torch.tensor([[0.5]]), torch.tensor([[0.2]]))
    assert loss.item() == pytest.approx(0.09)
    assert gradient.item() == pytest.approx(0.6)


@many
@given(st.integers(2, 32), st.integers(0, 99))
def test_a_perfect_prediction_loses_nothing(rows: int, seed: int) -> None:
    target = torch.rand(rows, 3, generator=torch.Generator().manual_seed(seed))
    target[0], target[1] = 0.0, 1.0  # so that there is something to agree on
    loss, gradient = loss_and_gradient(target, target)
    assert loss.item() == pytest.approx(0.0, abs=1e-5)
    assert gradient.abs().max().item() < 1e-5


@many
@given(st.integers(1, 8), st.integers(2, 6), st.integers(0, 99))
def test_cross_entropy_takes_the_most_voted_class(rows: int, outputs: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = 5 * torch.randn(rows, outputs, generator=generator)
    votes = torch.rand(rows, outputs, generator=generator)
    votes /= votes.sum(dim=1, keepdim=True)
    loss, gradient = loss_and_gradient(logits, votes, "classification")
    torch.testing.assert_close(loss, torch.nn.functional.cross_entropy(logits, votes.argmax(dim=1)))
    assert torch.isfinite(gradient).all()


def test_certain_mistakes_have_a_finite_cross_entropy() -> None:
    loss, gradient = loss_and_gradient(torch.tensor([[1e4, -1e4]]), torch.tensor([[0.0, 1.0]]), "classification")
    assert loss.item() == pytest.approx(2e4)
    assert torch.isfinite(gradient).all()

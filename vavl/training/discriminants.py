"""Linear discriminant analysis of a training set's window means, calibrated on held-out speakers."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vavl.model import Branch, Modality
from vavl.training.dataset import Example, FeatureSet

Array = NDArray[np.float64]
TEMPERATURES = (0.1, 100.0)
RIDGE = 1e-6  # relative to unit variance
UNSEEN = -30.0  # log likelihood of a class that the training set lacks


def fit_discriminants(branch: Branch, train: FeatureSet, modality: Modality) -> None:
    """Fit a branch's linear discriminants: the directions with the largest ratio of between- to within-class variance.

    Differences between speakers are part of the within-class variance, so directions in which speakers differ count
    little. Along each direction, clips of one class have about unit variance and the training set's mean is 0. A class
    with fewer than two clips is left out and never predicted. If fewer than two classes are left, the branch does not
    change.

    The log likelihoods (equal covariances, equal priors) are divided by a temperature, because they are overconfident
    on new speakers. It is fitted to training speakers, each predicted by an analysis of all the others.

    Args:
        branch: The branch; its normaliser must be set already.
        train: The training set, with classes as targets.
        modality: Modality of the branch.
    """
    layer = branch.discriminants
    assert layer is not None
    present = [example for example in train.examples if getattr(example.features, modality) is not None]
    counts = Counter(_label(example) for example in present)
    chosen = [example for example in present if counts[_label(example)] >= 2]
    classes = np.array([_label(example) for example in chosen])
    if len(np.unique(classes)) < 2:
        return
    pooled = np.stack([_window_mean(branch, getattr(example.features, modality)) for example in chosen])
    speakers = np.array([example.speaker for example in chosen])
    found = _analyse(pooled, classes, layer.dim)
    temperature = _temperature(pooled, classes, speakers, layer.dim)
    for buffer, value in (
        (layer.directions, found.directions),
        (layer.offset, found.offset),
        (layer.class_weight, found.class_means / temperature),
        (layer.class_bias, found.class_bias / temperature),
    ):
        buffer.copy_(torch.from_numpy(value))


def _window_mean(branch: Branch, values: NDArray[np.float32]) -> Array:
    features = torch.tensor(values)[None]
    with torch.no_grad():
        mean: Array = branch.describe(features, torch.ones(features.shape[:2]))[0].mean(1)[0].double().numpy()
    return mean


def _label(example: Example) -> int:
    """The class with the largest share."""
    return int(example.target.argmax())


@dataclass(frozen=True)
class _Analysis:
    """Directions (D, F), offset (D,), and class means along the directions (C, D) with their bias (C,)."""

    directions: Array
    offset: Array
    class_means: Array
    class_bias: Array

    def log_likelihood(self, pooled: Array) -> Array:
        projected = pooled @ self.directions.T + self.offset
        result: Array = projected @ self.class_means.T + self.class_bias
        return result


def _analyse(pooled: Array, classes: NDArray[Any], count: int) -> _Analysis:
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    centre, scale = pooled.mean(0), pooled.std(0) + 1e-6
    # Ledoit-Wolf shrinkage: with more features than speakers, the plain covariance estimate is unreliable.
    fitted = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit((pooled - centre) / scale, classes)
    # After whitening the within-class covariance, classes differ most along the principal axes of their means.
    ridge = RIDGE * np.eye(pooled.shape[1])  # a constant feature would make the covariance singular
    whiten = np.linalg.inv(np.linalg.cholesky(fitted.covariance_ + ridge))
    _, _, axes = np.linalg.svd((fitted.means_ - fitted.means_.mean(0)) @ whiten.T, full_matrices=False)
    found = min(count, len(fitted.classes_) - 1)
    directions = np.zeros((count, pooled.shape[1]))
    directions[:found] = axes[:found] @ whiten / scale
    offset = -directions @ centre
    class_means, class_bias = np.zeros((count + 1, count)), np.full(count + 1, UNSEEN)
    for label in fitted.classes_:
        mean = (pooled[classes == label] @ directions.T + offset).mean(0)
        class_means[label], class_bias[label] = mean, -0.5 * mean @ mean
    return _Analysis(directions, offset, class_means, class_bias)


def _temperature(pooled: Array, classes: NDArray[Any], speakers: NDArray[Any], count: int) -> float:
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    answers, truths = [], []
    for speaker in np.unique(speakers):
        others = speakers != speaker
        counts = np.unique(classes[others], return_counts=True)[1]
        if len(counts) == len(np.unique(classes)) and counts.min() >= 2:
            answers.append(_analyse(pooled[others], classes[others], count).log_likelihood(pooled[~others]))
            truths.append(classes[~others])
    if not answers:
        return 1.0
    likelihoods, truth = np.concatenate(answers), np.concatenate(truths)

    def loss(log_temperature: float) -> float:
        scaled = log_softmax(likelihoods / np.exp(log_temperature), axis=1)
        return -float(scaled[np.arange(len(truth)), truth].mean())

    return float(np.exp(minimize_scalar(loss, bounds=np.log(TEMPERATURES), method="bounded").x))

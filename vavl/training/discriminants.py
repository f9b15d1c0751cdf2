"""Fisher's linear discriminants of a training set's window means."""

import numpy as np
import torch
from torch import Tensor

from vavl.model import Modality
from vavl.training.dataset import FeatureSet
from vavl_runtime.errors import ConfigError


def fit_discriminants(train: FeatureSet, modality: Modality, count: int) -> Tensor:
    """Find the directions along which classes differ most, compared with how far clips of one class differ.

    Speakers are part of that difference, so directions in which they differ count for little.

    Args:
        train: The training set; classes.
        modality: Whose features.
        count: How many directions: classes - 1.

    Returns:
        Directions over z-normalised features, float32, shape (count, F); along each, clips of one class have about
        unit variance. Directions that the classes at hand do not support are zero.

    Raises:
        ConfigError: The training set has fewer than two classes with this modality.
    """
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    statistics = train.statistics(modality)
    chosen = [example for example in train.examples if getattr(example.features, modality) is not None]
    classes = np.array([int(example.target.argmax()) for example in chosen])
    if statistics is None or len(np.unique(classes)) < 2:
        raise ConfigError(f"discriminants: the training set needs {modality} clips of at least two classes")
    mean, deviation = statistics
    pooled = np.stack([np.asarray(getattr(example.features, modality), np.float64).mean(0) for example in chosen])
    # Ledoit-Wolf shrinkage: with more features than speakers, the covariance as it is would be trusted too far.
    fitted = LinearDiscriminantAnalysis(solver="eigen", shrinkage="auto").fit(
        (pooled - mean) / (deviation + 1e-6), classes
    )
    found = fitted.scalings_[:, :count].T
    directions = np.zeros((count, len(mean)), np.float32)
    directions[: min(len(found), len(np.unique(classes)) - 1)] = found[: len(np.unique(classes)) - 1]
    return torch.from_numpy(directions)

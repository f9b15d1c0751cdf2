"""Predictions of a trained system for the clips of a feature set, averaged over windows as the runtime does."""

from collections import defaultdict

import numpy as np
import torch
from numpy.typing import NDArray

from vavl.systems.system import System
from vavl.training.dataset import Example, FeatureSet
from vavl_runtime.bundle.manifest import PathName

BATCH = 32


def predict(system: System, data: FeatureSet) -> dict[PathName, dict[str, NDArray[np.float64]]]:
    """Predict every clip by every path.

    Args:
        system: A trained system.
        data: Windows of clips.

    Returns:
        By path and clip id, the prediction (C,): probabilities, or attributes in [0, 1]. It is the mean over the clip's
        windows weighted by their duration, as in `vavl_runtime.pipeline.aggregate`.
    """
    device = next(system.parameters()).device
    sums: dict[PathName, dict[str, NDArray[np.float64]]] = {path: {} for path in system.paths}
    weights: dict[tuple[PathName, str], float] = defaultdict(float)
    training = system.training
    system.eval()
    with torch.inference_mode():
        for examples, batch in data.ordered(BATCH):
            for path, (rows, predictions) in system.predict(batch.to(device)).items():
                for row, prediction in zip(rows.tolist(), predictions.double().cpu().numpy(), strict=True):
                    example = examples[row]
                    weight = _seconds(path, example)
                    known = sums[path].get(example.clip, 0.0)
                    sums[path][example.clip] = known + weight * prediction
                    weights[path, example.clip] += weight
    system.train(training)
    return {
        path: {clip: total / weights[path, clip] for clip, total in by_clip.items()} for path, by_clip in sums.items()
    }


def _seconds(path: PathName, example: Example) -> float:
    features = example.features
    seconds = {
        "audio": features.audio_seconds,
        "visual": features.visual_seconds,
        "audio_visual": max(features.audio_seconds, features.visual_seconds),
    }[path]
    return max(seconds, 1e-3)  # a still image has no duration but must count

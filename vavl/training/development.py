"""The development score by which the best epoch is chosen."""

import numpy as np

from vavl.systems.system import System
from vavl.training.dataset import FeatureSet
from vavl.training.predict import predict


def development_scores(system: System, data: FeatureSet) -> dict[str, float]:
    """Score a system on the development set.

    Args:
        system: The system.
        data: The development set.

    Returns:
        ``PATH/score`` for every path that the set allows: macro F1, or the mean CCC over attributes. ``mean/score`` is
        their mean. If no clip has both modalities, ``audio_visual/score`` is the mean, too.
    """
    from vavl.evaluation.metrics import concordance, macro_f1

    targets = {example.clip: example.target for example in data.examples}
    scores = {}
    for path, by_clip in predict(system, data).items():
        if by_clip:
            prediction = np.stack(list(by_clip.values()))
            target = np.stack([targets[clip] for clip in by_clip]).astype(np.float64)
            if system.task == "classification":
                scores[f"{path}/score"] = macro_f1(prediction, target)
            else:
                scores[f"{path}/score"] = float(np.mean(concordance(prediction, target)))
    scores["mean/score"] = float(np.mean(list(scores.values())))
    scores.setdefault("audio_visual/score", scores["mean/score"])
    return scores

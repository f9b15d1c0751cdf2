"""In regression, every system starts at the training set's mean, so that concordance can pull its predictions."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.training.small_runs import in_memory, small_config, train
from vavl.systems.build import BASELINES, build_system
from vavl.systems.system import System
from vavl.training.dataset import FeatureSet
from vavl.training.fit import _start_at_the_mean

KINDS = ("both", "audio", "visual")
SIZES = {"uavm": {"width": 16}}


def predictions(system: System, data: FeatureSet) -> dict[str, np.ndarray]:
    """By path, in [0, 1], shape (N, C)."""
    found: dict[str, list[np.ndarray]] = {}
    system.eval()
    with torch.no_grad():
        for _, batch in data.ordered(8):
            for path, (_, answer) in system.predict(batch).items():
                found.setdefault(path, []).append(answer.numpy())
    return {path: np.concatenate(answers) for path, answers in found.items()}


@pytest.mark.parametrize("name", ["vavl", *BASELINES])
def test_untrained_systems_predict_the_mean(name: str) -> None:
    data = in_memory(KINDS * 4, "regression").features()
    system = build_system(name, small_config("regression"), sizes=SIZES.get(name))
    _start_at_the_mean(system, data)
    mean = np.mean([example.target for example in data.examples], axis=0)
    found = predictions(system, data)
    assert set(found) == set(system.paths)
    for path, answers in found.items():
        np.testing.assert_allclose(answers, np.broadcast_to(mean, answers.shape), atol=1e-5, err_msg=path)


def test_training_starts_there(tmp_path: Path) -> None:
    data = in_memory(KINDS * 4, "regression").features()
    config = small_config("regression")
    system = train(tmp_path, data, system=lambda: build_system("vavl", config), epochs=1, learning_rate=1e-9)
    mean = np.mean([example.target for example in data.examples], axis=0)
    for path, answers in predictions(system, data).items():
        np.testing.assert_allclose(answers, np.broadcast_to(mean, answers.shape), atol=1e-4, err_msg=path)

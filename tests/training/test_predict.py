"""Predictions of clips: their windows weighted as the runtime weights them."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.training.small_runs import build, in_memory
from vavl.config import Task
from vavl.systems.vavl import VavlSystem
from vavl.training.dataset import Example, collate
from vavl.training.predict import predict
from vavl_runtime.bundle.manifest import PathName

KINDS = ("both", "two windows", "audio", "visual", "nothing", "two windows")


def alone(system: VavlSystem, example: Example, path: PathName) -> np.ndarray:
    """The prediction for a window alone."""
    with torch.no_grad():
        return system.predict(collate([example]))[path][1][0].double().numpy()


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_windows_count_by_their_length(task: Task) -> None:
    data = in_memory(KINDS, task).features()
    system = build(task).eval()
    found = predict(system, data)
    assert {path: set(clips) for path, clips in found.items()} == {
        "audio": {"0", "1", "2", "5"},
        "visual": {"0", "1", "3", "5"},
        "audio_visual": {"0", "1", "5"},
    }
    windows = {clip: [example for example in data.examples if example.clip == clip] for clip in "01235"}
    for clip in ("1", "5"):  # 12 s with both modalities, then 4 s of sound
        long, short = windows[clip]
        heard = (12.0 * alone(system, long, "audio") + 4.0 * alone(system, short, "audio")) / 16.0
        np.testing.assert_allclose(found["audio"][clip], heard, atol=1e-5)
        np.testing.assert_allclose(found["visual"][clip], alone(system, long, "visual"), atol=1e-5)
        np.testing.assert_allclose(found["audio_visual"][clip], alone(system, long, "audio_visual"), atol=1e-5)
    for path in ("audio", "visual", "audio_visual"):
        np.testing.assert_allclose(found[path]["0"], alone(system, windows["0"][0], path), atol=1e-5)


def test_a_still_picture_counts() -> None:
    """It has no length, as at run time."""
    data = in_memory(("visual", "both")).features()
    still = [replace(it, features=replace(it.features, audio_seconds=0.0, visual_seconds=0.0)) for it in data.examples]
    system = build().eval()
    wanted = predict(system, data)
    data.examples[:] = still
    for path, clips in predict(system, data).items():
        assert clips.keys() == wanted[path].keys()
        for clip, values in clips.items():
            np.testing.assert_allclose(values, wanted[path][clip], atol=1e-6)


def test_predicting_neither_trains_nor_ends_training() -> None:
    system = build(dropout=0.5, head_dropout=0.5).train()
    data = in_memory(KINDS).features()
    first, again = predict(system, data), predict(system, data)
    assert system.training
    for path, clips in first.items():
        for clip, values in clips.items():
            assert np.array_equal(values, again[path][clip])

"""The benchmark of interpolated boxes."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.studies import boxes
from vavl_runtime.bundle import open_bundle


def test_the_distance_is_that_of_the_farthest_edge() -> None:
    box = np.array([10, 10, 20, 20], np.float32)
    moved = box + np.array([0, 0, -3, 1], np.float32)
    assert boxes.distances([box, None, moved, box], [moved, box, None, box]) == [3.0, 0.0]


def test_the_share_counts_boxes_at_the_bound() -> None:
    assert boxes.within(np.array([0.0, 2.0, 2.01, 9.0])) == 0.5


def test_every_comparison_is_made(light_bundle: Path, example_clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boxes, "EVERY", (1, 5))
    with open_bundle(light_bundle) as bundle:
        (clip,) = boxes.every_clip(bundle, [example_clip])
    record = {"clips": [clip], "command": "command"}
    assert boxes.within(boxes.merged(record, "every 1")) == 1  # nothing is interpolated
    detected = clip["distances"]["every 5"][::5]
    assert len(clip["distances"]["every 5"]) == clip["frames"]
    assert max(detected) <= 0.5  # the detector follows another face size after other detections
    # Interpolation is nearer to the frame's own box than the box of the frame before is, in the mean.
    assert np.mean(clip["distances"]["every 5"]) < np.mean(clip["distances"]["frame before"])
    assert "| detection on every frame of 5, interpolated in between |" in boxes.table(record)

"""Fused graphs of the packaged bundle against their parts, one after the other."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from vavl_export.fused import fuse_path
from vavl_runtime.bundle import open_bundle


@pytest.mark.parametrize("faces", [1, 5])
def test_the_faces_of_a_call_are_one_clip(light_bundle: Path, faces: int) -> None:
    """Their number reaches the path as its length, for any number of faces."""
    with open_bundle(light_bundle) as bundle:
        models = {name: onnx.load(bundle.graph_file(name)) for name in ("face_encoder", "visual")}
    sessions = {name: _open(model) for name, model in models.items()}
    pixels = np.random.default_rng(faces).integers(0, 256, (faces, 224, 224, 3), np.uint8)
    features = sessions["face_encoder"].run(None, {"faces": pixels})[0][None]
    expected = sessions["visual"].run(None, {"visual_features": features, "visual_lengths": np.array([faces])})
    for got, wanted in zip(_open(fuse_path("visual", models)).run(None, {"faces": pixels}), expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)


def _open(model: onnx.ModelProto) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])

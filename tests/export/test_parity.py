"""PyTorch and ONNX agree on every output of every graph, over lengths, batches and tasks."""

import pytest
import torch

from tests.export.conftest import OpenGraph
from tests.export.exported import Exported
from vavl_runtime.bundle.golden import TOLERANCE, relative_l2

LENGTHS_S = [0.0, 0.2, 0.5, 1.0, 3.0, 12.0]  # 0 means the shortest that is allowed
BATCHES = [1, 5]
PATHS = ("audio", "visual", "audio_visual")
# Exporting a graph takes about ten seconds, so the fast tier has one path. The tiny bundle is one of regression.
FAST = ("classification", "audio_visual")
SLOW = [
    *[("tiny bundle", name) for name in (*PATHS, "audio_encoder")],
    ("classification", "audio"),
    ("classification", "visual"),
    ("ablated", "audio_visual"),
]
LONG = [pytest.mark.slow, pytest.mark.long]
CASES = [
    FAST,
    *[pytest.param(case, marks=pytest.mark.slow) for case in SLOW],
    *[pytest.param(("paper", name), marks=LONG) for name in (*PATHS, "audio_encoder")],
]


@pytest.fixture(scope="module", params=CASES, ids=str)
def graph(request: pytest.FixtureRequest, open_exported: OpenGraph) -> Exported:
    return open_exported(*request.param)


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("length", LENGTHS_S)
def test_paths_and_audio_encoders_agree_with_torch(graph: Exported, batch: int, length: float) -> None:
    example = graph.plan.example(batch, length)
    with torch.no_grad():
        expected = graph.plan.module(*example)
    for name, got, reference in zip(graph.plan.outputs, graph.run(*example), expected, strict=True):
        assert got.dtype == reference.numpy().dtype
        if name == "audio_features":  # what stands in padding is nobody's business
            valid = torch.arange(got.shape[1]) < expected[1][:, None]
            got, reference = got[valid.numpy()], reference[valid]
        assert relative_l2(got, reference.numpy()) <= TOLERANCE["fp32"], name


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("kind", ["pretrained", pytest.param("paper", marks=LONG)])
def test_face_encoders_agree_with_torch(open_exported: OpenGraph, kind: str, batch: int) -> None:
    graph = open_exported(kind, "face_encoder")
    (faces,) = graph.plan.example(batch, 1.0)
    with torch.no_grad():
        assert relative_l2(graph.run(faces)[0], graph.plan.module(faces).numpy()) <= TOLERANCE["fp32"]


@pytest.mark.slow
@pytest.mark.parametrize("net", ["pnet", "rnet", "onet"])
def test_detector_agrees_with_torch(open_exported: OpenGraph, net: str) -> None:
    graph = open_exported("tiny bundle", net)
    for batch in BATCHES:
        (pixels,) = graph.plan.example(batch, 1.0)
        if net == "pnet":
            pixels = pixels[:, :37, :49]
        with torch.no_grad():
            expected = graph.plan.module(pixels)
        for got, reference in zip(graph.run(pixels), expected, strict=True):
            assert relative_l2(got, reference.numpy()) <= TOLERANCE["fp32"]


@pytest.mark.slow
@pytest.mark.parametrize("name", PATHS)
def test_released_layout_is_exported_with_batch_one(open_exported: OpenGraph, name: str) -> None:
    graph = open_exported("released", name)
    assert all(value.shape[0] == 1 for value in graph.session.get_inputs())
    for length in LENGTHS_S:
        example = graph.plan.example(1, length)
        with torch.no_grad():
            expected = graph.plan.module(*example)
        for got, reference in zip(graph.run(*example), expected, strict=True):
            assert relative_l2(got, reference.numpy()) <= TOLERANCE["fp32"]

"""PyTorch and ONNX agree on every output of every graph, over lengths, batches and tasks."""

from collections.abc import Iterator

import pytest
import torch

from tests.export.exported import REGRESSION, Exported, export, tiny_model
from vavl.encoders import load_audio_encoder, load_face_encoder
from vavl.encoders.mtcnn import load_mtcnn
from vavl_export.golden import TOLERANCE, relative_l2
from vavl_export.graph_specs import GraphSpec, detector_specs, encoder_specs, path_specs
from vavl_export.request import random_checkpoint

LENGTHS_S = [0.0, 0.2, 0.5, 1.0, 3.0, 12.0]  # 0 means the shortest that is allowed
BATCHES = [1, 5]


def _plans(kind: str) -> list[GraphSpec]:
    if kind == "tiny classification":
        return path_specs(tiny_model())
    if kind == "tiny regression":
        return path_specs(tiny_model(**REGRESSION))
    if kind == "tiny ablated":
        return path_specs(tiny_model(residual=False, reconstruction=False, audio_visual_head=False))
    if kind == "light encoders":
        return encoder_specs(load_audio_encoder("light").module, load_face_encoder("light").module)
    if kind == "paper":
        return path_specs(random_checkpoint("paper", 0).model)
    audio = load_audio_encoder("random:wav2vec2-large-robust@0").module
    return encoder_specs(audio, load_face_encoder("random:timm:tf_efficientnet_b2@0").module)


CASES = [
    *[
        (kind, name)
        for kind in ("tiny classification", "tiny regression")
        for name in ("audio", "visual", "audio_visual")
    ],
    ("tiny ablated", "audio_visual"),
    ("light encoders", "audio_encoder"),
    *[pytest.param(("paper", name), marks=pytest.mark.slow) for name in ("audio", "visual", "audio_visual")],
    pytest.param(("paper encoders", "audio_encoder"), marks=pytest.mark.slow),
]


@pytest.fixture(scope="module", params=CASES, ids=str)
def graph(request: pytest.FixtureRequest) -> Iterator[Exported]:
    kind, name = request.param
    yield export(next(plan for plan in _plans(kind) if plan.name == name))


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
@pytest.mark.parametrize("kind", ["light encoders", pytest.param("paper encoders", marks=pytest.mark.slow)])
def test_face_encoders_agree_with_torch(kind: str, batch: int) -> None:
    graph = export(_plans(kind)[1])
    (faces,) = graph.plan.example(batch, 1.0)
    with torch.no_grad():
        assert relative_l2(graph.run(faces)[0], graph.plan.module(faces).numpy()) <= TOLERANCE["fp32"]


@pytest.mark.parametrize("net", ["pnet", "rnet", "onet"])
def test_detector_agrees_with_torch(net: str) -> None:
    graph = export(next(plan for plan in detector_specs(load_mtcnn()) if plan.name == net))
    for batch in BATCHES:
        (pixels,) = graph.plan.example(batch, 1.0)
        if net == "pnet":
            pixels = pixels[:, :37, :49]
        with torch.no_grad():
            expected = graph.plan.module(pixels)
        for got, reference in zip(graph.run(pixels), expected, strict=True):
            assert relative_l2(got, reference.numpy()) <= TOLERANCE["fp32"]


@pytest.mark.parametrize("name", ["audio", "visual", "audio_visual"])
def test_released_layout_is_exported_with_batch_one(name: str) -> None:
    model = tiny_model(layout="released", projection_kernel=1)
    graph = export(next(plan for plan in path_specs(model) if plan.name == name))
    assert all(value.shape[0] == 1 for value in graph.session.get_inputs())
    for length in LENGTHS_S:
        example = graph.plan.example(1, length)
        with torch.no_grad():
            expected = graph.plan.module(*example)
        for got, reference in zip(graph.run(*example), expected, strict=True):
            assert relative_l2(got, reference.numpy()) <= TOLERANCE["fp32"]

"""The light face encoder: it is O-Net on the pixels that O-Net knows, and its geometry is that of the face alone."""

from functools import cache

import numpy as np
import pytest
import torch
from facenet_pytorch.models.mtcnn import ONet
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from vavl.encoders import load_face_encoder
from vavl.encoders.base import FACE_SIZE
from vavl.encoders.light_face import GEOMETRY, HIDDEN, SIDE, LightFaceEncoder, geometry, resampling

few = settings(max_examples=30, deadline=None)
seeds = st.integers(0, 2**32 - 1)
MARGIN = 0.2  # that the runtime cuts crops with
INVARIANT = 7  # columns of the geometry that neither place, size nor tilt of the head changes


@cache
def encoder() -> LightFaceEncoder:
    module = load_face_encoder("light").module
    assert isinstance(module, LightFaceEncoder)
    return module


def faces(count: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, FACE_SIZE, FACE_SIZE, 3), dtype=torch.uint8, generator=generator)


def test_hidden_layer_and_landmarks_are_those_of_onet() -> None:
    network, hidden = ONet().eval(), []
    network.prelu5.register_forward_hook(lambda *call: hidden.append(call[2]))
    crops = faces(3)
    width = FACE_SIZE / (1 + MARGIN)
    shrink = resampling(FACE_SIZE, (FACE_SIZE - width) / 2, width, SIDE)
    pixels = torch.einsum("ih,nhwc,jw->ncij", shrink, crops.float(), shrink)
    with torch.no_grad():
        _, landmarks, _ = network((pixels - 127.5) / 128)
        features = encoder()(crops)
    assert features.shape == (3, encoder().dim) == (3, HIDDEN + GEOMETRY)
    torch.testing.assert_close(features[:, :HIDDEN], hidden[0], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(features[:, -10:], landmarks, atol=1e-4, rtol=1e-4)


def test_landmarks_alone_are_the_end_of_the_whole() -> None:
    alone, crops = load_face_encoder("landmarks"), faces(3)
    assert alone.trained
    assert alone.weights_sha256 != load_face_encoder("light").weights_sha256
    with torch.no_grad():
        assert torch.equal(alone.module(crops), encoder()(crops)[:, -alone.module.dim :])


def test_landmarks_of_a_real_face_stand_where_a_face_has_them() -> None:
    """Eyes above the nose above the mouth, left before right: the crop is the one that O-Net was trained on."""
    data = pytest.importorskip("skimage.data", reason="scikit-image carries the picture of a face")
    (left, top, right, bottom) = (172, 60, 272, 190)  # the astronaut's face in scikit-image's picture
    side = (1 + MARGIN) * max(right - left, bottom - top)
    middle = ((left + right) / 2, (top + bottom) / 2)
    box = (middle[0] - side / 2, middle[1] - side / 2, middle[0] + side / 2, middle[1] + side / 2)
    crop = Image.fromarray(data.astronaut()).resize((FACE_SIZE, FACE_SIZE), Image.Resampling.BILINEAR, box=box)
    with torch.no_grad():
        x, y = encoder()(torch.from_numpy(np.array(crop))[None])[0, -10:].reshape(2, 5)
    assert max(y[0], y[1]) < y[2] < min(y[3], y[4])
    assert x[0] < x[2] < x[1] and x[3] < x[4]


@few
@given(count=st.integers(1, 4), seed=seeds)
def test_a_face_is_encoded_for_itself(count: int, seed: int) -> None:
    crops = faces(count, seed)
    with torch.no_grad():
        alone = torch.cat([encoder()(crop[None]) for crop in crops])
        torch.testing.assert_close(encoder()(crops), alone, atol=1e-4, rtol=1e-4)


@few
@given(size=st.integers(8, 300), out=st.integers(1, 64), ends=st.tuples(st.floats(0, 0.6), st.floats(0.1, 1.0)))
def test_resampling_weighs_pixels_as_pillow_does(size: int, out: int, ends: tuple[float, float]) -> None:
    left = ends[0] * size
    width = ends[1] * (size - left)
    matrix = resampling(size, left, width, out)
    assert matrix.shape == (out, size) and matrix.dtype == torch.float32
    assert (matrix >= 0).all()
    torch.testing.assert_close(matrix.sum(dim=1), torch.ones(out))
    line = np.random.default_rng(size).random((1, size), np.float32)
    box = (left, 0, left + width, 1)
    expected = Image.fromarray(line).resize((out, 1), Image.Resampling.BILINEAR, box=box)
    np.testing.assert_allclose((matrix.numpy() @ line[0]), np.asarray(expected)[0], atol=1e-4)


def test_a_picture_shrinks_as_pillow_shrinks_it() -> None:
    crop = faces(1)[0]
    width = FACE_SIZE / (1 + MARGIN)
    left = (FACE_SIZE - width) / 2
    shrunk = torch.einsum("ih,hwc,jw->ijc", encoder().shrink, crop.float(), encoder().shrink)
    box = (left, left, left + width, left + width)
    expected = Image.fromarray(crop.numpy()).resize((SIDE, SIDE), Image.Resampling.BILINEAR, box=box)
    assert np.abs(shrunk.numpy() - np.asarray(expected)).max() <= 1.0  # Pillow rounds after each direction


points = st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1)), min_size=3, max_size=3)
somewhere = st.tuples(st.floats(-0.5, 0.5), st.floats(-0.5, 0.5))


@few
@given(
    below=points,
    left=somewhere,
    apart=st.floats(0.3, 1.0),
    tilt=st.floats(-1, 1),
    angle=st.floats(-3, 3),
    scale=st.floats(0.7, 2.0),
    shift=somewhere,
)
def test_geometry_does_not_see_where_how_large_and_how_tilted_a_face_is(
    below: list[tuple[float, float]],
    left: tuple[float, float],
    apart: float,
    tilt: float,
    angle: float,
    scale: float,
    shift: tuple[float, float],
) -> None:
    right = (left[0] + apart * np.cos(tilt), left[1] + apart * np.sin(tilt))
    face = torch.tensor([left, right, *below], dtype=torch.float32)
    turn = torch.tensor([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]], dtype=torch.float32)
    moved = scale * face @ turn.T + torch.tensor(shift)
    before, after = (geometry(points.T.reshape(1, 10))[0] for points in (face, moved))
    assert before.shape == (GEOMETRY,)
    torch.testing.assert_close(after[:INVARIANT], before[:INVARIANT], atol=5e-3, rtol=1e-3)
    assert float(before[7]) == pytest.approx(apart, abs=1e-4)
    assert float(after[7]) == pytest.approx(scale * apart, abs=1e-4)
    assert float(before[8]) == pytest.approx(np.sin(tilt), abs=1e-3)
    assert torch.equal(after[9:], moved.T.flatten())


def test_geometry_of_an_upright_face() -> None:
    """Eyes two units apart, nose one below their middle, mouth two below and as wide as the eyes are apart."""
    upright = torch.tensor([[1.0, 3.0, 2.0, 1.0, 3.0, 1.0, 1.0, 2.0, 3.0, 3.0]])  # x, then y downwards
    expected = [0.0, 0.5, -0.5, 1.0, 0.5, 1.0, 1.0, 2.0, 0.0]
    torch.testing.assert_close(geometry(upright)[0, :9], torch.tensor(expected), atol=1e-4, rtol=0)


def test_eyes_in_one_place_give_numbers_all_the_same() -> None:
    landmarks = torch.full((1, 10), 0.5, requires_grad=True)
    features = geometry(landmarks)
    features.sum().backward()
    assert torch.isfinite(features).all()
    assert torch.isfinite(landmarks.grad).all()

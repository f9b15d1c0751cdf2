"""Face boxes equal facenet-pytorch's; areas, suppression, tracking and crops keep their properties."""

import tracemalloc
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from PIL import Image
from skimage import data
from torch.nn.functional import interpolate
from torchvision.ops import nms

from vavl_runtime.backends.ort.cpu import OnnxRuntimeBackend
from vavl_runtime.bundle import PACKAGED_BUNDLE, open_bundle
from vavl_runtime.bundle.manifest import CropRecipe, Limits
from vavl_runtime.faces import Faces, Mtcnn, crop_face, track_face
from vavl_runtime.faces.area import AreaSampler
from vavl_runtime.faces.boxes import MAX_CANDIDATES, overlap, suppress, to_squares
from vavl_runtime.faces.track import FaceLocator, largest_face
from vavl_runtime.media import Frame, open_source
from vavl_runtime.pipeline.graph_runner import GraphRunner
from vavl_runtime.timing import StageTimer

few = settings(max_examples=40, deadline=None)
boxes_strategy = hnp.arrays(
    np.float32, st.tuples(st.integers(1, 30), st.just(4)), elements=st.integers(0, 60).map(float)
)


@pytest.fixture(scope="module")
def detector() -> Mtcnn:
    graphs, timer = GraphRunner(open_bundle(PACKAGED_BUNDLE), OnnxRuntimeBackend(1)), StageTimer()
    return Mtcnn(partial(graphs.run, timer=timer), CropRecipe())


def _assert_same_faces(detector: Mtcnn, image: NDArray[np.uint8]) -> int:
    from facenet_pytorch import MTCNN

    boxes, probabilities, landmarks = MTCNN(keep_all=True).detect(image, landmarks=True)
    ours = detector.detect(image)
    if boxes is None:
        assert len(ours.boxes) == 0
        return 0
    assert len(ours.boxes) == len(boxes)
    for box, probability, points in zip(boxes, probabilities, landmarks, strict=True):
        nearest = np.abs(ours.boxes - box).max(axis=1).argmin()
        assert np.abs(ours.boxes[nearest] - box).max() <= 1.0
        assert np.abs(ours.landmarks[nearest] - points).max() <= 1.0
        assert abs(ours.probabilities[nearest] - probability) <= 1e-3
    return len(boxes)


@pytest.mark.parametrize("rows", [512, 301])
def test_boxes_equal_facenet_on_the_astronaut(detector: Mtcnn, rows: int) -> None:
    assert _assert_same_faces(detector, np.ascontiguousarray(data.astronaut()[:rows])) >= 1


def test_boxes_equal_facenet_on_noise_and_tiny_images(detector: Mtcnn) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
    _assert_same_faces(detector, noise)
    assert len(detector.detect(noise[:19, :19]).boxes) == 0


@pytest.mark.parametrize("name", ["several_faces.jpg", "grid_bbaf2n.mpg", "face_pexels.mp4"])
def test_boxes_equal_facenet_on_real_media(detector: Mtcnn, shared: Path, name: str) -> None:
    frames = open_source(shared / "clips" / name, Limits()).frames()
    found = [_assert_same_faces(detector, frame.pixels) for number, frame in zip(range(60), frames) if number % 20 == 0]  # noqa: B905
    assert sum(found) >= 1


@few
@given(
    image=hnp.arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40), st.just(3))),
    size=st.tuples(st.integers(1, 50), st.integers(1, 50)),
)
def test_area_resize_equals_torch(image: NDArray[np.uint8], size: tuple[int, int]) -> None:
    tensor = torch.from_numpy(image).permute(2, 0, 1)[None].float()
    expected = interpolate(tensor, size=size, mode="area")[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(AreaSampler(image).resize(*size), expected, atol=1e-3)


@few
@given(
    image=hnp.arrays(np.uint8, (17, 23, 3)),
    corners=st.lists(st.tuples(*[st.integers(0, 16)] * 2, *[st.integers(1, 6)] * 2), min_size=1, max_size=5),
)
def test_area_crops_equal_resized_cut_outs(image: NDArray[np.uint8], corners: list[tuple[int, int, int, int]]) -> None:
    left, top, width, height = np.array(corners).T
    right, bottom = np.minimum(left + width, 23), np.minimum(top + height, 17)
    crops = AreaSampler(image).crops(left, top, right, bottom, 12)
    for index, crop in enumerate(crops):
        cut = np.ascontiguousarray(image[top[index] : bottom[index], left[index] : right[index]])
        np.testing.assert_allclose(crop, AreaSampler(cut).resize(12, 12), atol=1e-3)


def test_area_sums_survive_wrapping_around() -> None:
    image = np.full((4200, 4200, 3), 255, np.uint8)  # sums exceed 2^32
    np.testing.assert_allclose(AreaSampler(image).resize(7, 7), 255.0, rtol=1e-6)


@few
@given(boxes=boxes_strategy, seed=st.integers(0, 9))
def test_suppression_equals_torchvision(boxes: NDArray[np.float32], seed: int) -> None:
    boxes[:, 2:] += boxes[:, :2] + 1
    scores = np.random.default_rng(seed).permutation(len(boxes)).astype(np.float32)
    expected = nms(torch.from_numpy(boxes), torch.from_numpy(scores), 0.4999).numpy()
    assert suppress(boxes, scores, 0.4999).tolist() == expected.tolist()


def test_suppression_of_many_equals_torchvision() -> None:
    """More than are compared at once."""
    chance = np.random.default_rng(0)
    corners = chance.uniform(0, 400, (3_000, 2)).astype(np.float32)
    boxes = np.concatenate([corners, corners + chance.uniform(5, 60, (3_000, 2)).astype(np.float32)], axis=1)
    scores = chance.permutation(3_000).astype(np.float32)
    expected = nms(torch.from_numpy(boxes), torch.from_numpy(scores), 0.5).tolist()
    assert suppress(boxes, scores, 0.5).tolist() == expected
    assert 300 < len(expected) < 2_900


def test_suppression_of_every_cell_of_a_picture_is_bounded() -> None:
    """All against all, these took 15 GB."""
    corner = np.stack(np.meshgrid(np.arange(240.0), np.arange(180.0)), axis=-1).reshape(-1, 2).astype(np.float32) * 2
    boxes = np.concatenate([corner, corner + 12], axis=1)
    tracemalloc.start()
    try:
        kept = suppress(boxes, np.linspace(1, 0, len(boxes), dtype=np.float32), 0.5)
        assert tracemalloc.get_traced_memory()[1] < 200 << 20
    finally:
        tracemalloc.stop()
    assert kept[0] == 0 and kept.max() < MAX_CANDIDATES


@few
@given(boxes=boxes_strategy)
def test_squares_hold_their_boxes(boxes: NDArray[np.float32]) -> None:
    boxes[:, 2:] += boxes[:, :2] + 1
    squares = to_squares(boxes)
    size = squares[:, 2:] - squares[:, :2]
    np.testing.assert_allclose(size[:, 0], size[:, 1], rtol=1e-5)
    assert (squares[:, :2] <= boxes[:, :2] + 1e-3).all()
    assert (squares[:, 2:] >= boxes[:, 2:] - 1e-3).all()


def test_the_largest_face_wins_then_the_most_confident() -> None:
    boxes = np.array([[0, 0, 10, 10], [0, 0, 20, 20], [5, 5, 25, 25], [0, 0, 40, 40]], np.float32)
    probabilities = np.array([0.99, 0.95, 0.97, 0.5], np.float32)
    chosen = largest_face(Faces(boxes, probabilities, np.zeros((4, 5, 2), np.float32)), 0.9)
    assert chosen is not None
    assert chosen.tolist() == boxes[2].tolist()
    assert largest_face(Faces(boxes, probabilities, np.zeros((4, 5, 2), np.float32)), 0.995) is None


def _frames(count: int) -> Iterator[Frame]:
    for number in range(count):
        yield Frame(number / 25, np.full((2, 2, 3), number, np.uint8))


@few
@given(visible=st.lists(st.booleans(), min_size=1, max_size=30), every=st.integers(1, 7))
def test_tracking_gives_every_frame_once_in_order(visible: list[bool], every: int) -> None:
    box = np.array([0, 0, 10, 10], np.float32)
    tracked = list(track_face(_frames(len(visible)), lambda f: box if visible[f.pixels[0, 0, 0]] else None, every))
    assert [frame.pixels[0, 0, 0] for frame, _ in tracked] == list(range(len(visible)))
    for number, (_, found) in enumerate(tracked):
        if number % every == 0 or number == len(visible) - 1:  # a detection frame, or the last
            assert (found is not None) == visible[number]


def test_a_steady_motion_is_interpolated_exactly() -> None:
    def locate(frame: Frame) -> NDArray[np.float32]:
        return np.array([0, 0, 100, 100], np.float32) + np.float32(frame.pixels[0, 0, 0])

    calls = []
    tracked = list(track_face(_frames(21), lambda f: calls.append(f.pixels[0, 0, 0]) or locate(f), 5))
    assert calls == [0, 5, 10, 15, 20]
    for frame, box in tracked:
        np.testing.assert_allclose(box, locate(frame), atol=1e-3)


def test_a_jump_or_a_vanishing_face_is_looked_at_frame_by_frame() -> None:
    def locate(frame: Frame) -> NDArray[np.float32] | None:
        number = int(frame.pixels[0, 0, 0])
        if number >= 13:
            return None
        return np.array([0, 0, 10, 10], np.float32) + (100 if number >= 7 else 0)

    for frame, box in track_face(_frames(20), locate, 5):
        expected = locate(frame)
        assert (box is None) == (expected is None)
        if expected is not None:
            np.testing.assert_array_equal(box, expected)


def test_interpolated_boxes_stay_near_frame_by_frame_detection(detector: Mtcnn, example_clip: Path) -> None:
    frames = list(open_source(example_clip, Limits()).frames())[:31]
    locate = FaceLocator(detector, CropRecipe())
    for frame, box in track_face(iter(frames), locate, 5):
        assert box is not None
        assert overlap(box[None], locate(frame)[None])[0, 0] > 0.85


class SizedDetector:
    """Sees the face whose side a frame's first pixel tells, and notes how large faces had to be."""

    def __init__(self) -> None:
        self.asked: list[float] = []

    def detect(self, image: NDArray[np.uint8], at_least: float = 0.0) -> Faces:
        self.asked.append(at_least)
        side = float(image[0, 0, 0])
        count = int(side >= max(at_least, 1.0))
        box = np.array([[10, 10, 10 + side, 14 + side]], np.float32)
        return Faces(box[:count], np.ones(count, np.float32), np.zeros((count, 5, 2), np.float32))


@few
@given(
    sides=st.lists(st.just(0) | st.integers(CropRecipe().min_face, 200), min_size=1, max_size=8),
    follow=st.sampled_from([0.0, 0.3, 0.5, 1.0]),
)
def test_following_a_face_misses_none(sides: list[int], follow: float) -> None:
    detector = SizedDetector()
    locate = FaceLocator(detector, CropRecipe(follow=follow))  # type: ignore[arg-type]
    previous = 0
    for side in sides:
        detector.asked.clear()
        box = locate(Frame(0.0, np.full((300, 300, 3), side, np.uint8)))
        assert (box is None) == (side == 0)
        assert detector.asked[0] == pytest.approx(follow * previous)
        assert len(detector.asked) == 1 or detector.asked[1:] == [0.0]  # gone or shrunk: all sizes once more
        previous = side


@pytest.mark.slow
def test_following_a_face_finds_the_same_boxes(detector: Mtcnn, shared: Path) -> None:
    clips = sorted((shared / "corpora" / "javanese" / "video").glob("*.mp4"))[::48]
    clips += [shared / "clips" / name for name in ("face_pexels.mp4", "face_then_none_vfr.mov")]
    distances = []
    for clip in clips:
        follow, look_at_all = (FaceLocator(detector, CropRecipe(follow=share)) for share in (0.5, 0.0))
        for number, frame in enumerate(open_source(clip, Limits()).frames()):
            if number % 10 == 0:
                box, expected = follow(frame), look_at_all(frame)
                assert (box is None) == (expected is None)
                if box is not None and expected is not None:
                    distances.append(np.abs(box - expected).max())
    assert len(distances) > 30
    assert np.mean(np.array(distances) <= 2.0) >= 0.98


@few
@given(
    height=st.integers(8, 60),
    width=st.integers(8, 60),
    box=st.tuples(*[st.floats(-30, 80, width=32)] * 2, *[st.floats(1, 90, width=32)] * 2),
)
def test_crops_are_always_whole(height: int, width: int, box: tuple[float, float, float, float]) -> None:
    pixels = np.full((height, width, 3), 200, np.uint8)
    corners = np.array([box[0], box[1], box[0] + box[2], box[1] + box[3]], np.float32)
    crop = crop_face(Frame(0.0, pixels), corners, CropRecipe())
    assert crop.shape == (224, 224, 3)
    assert crop.dtype == np.uint8
    assert (crop == 200).all()  # nothing from outside the frame


@few
@given(left=st.integers(-20, 350), top=st.integers(-20, 250), side=st.integers(2, 300), seed=st.integers(0, 9))
def test_crops_equal_those_of_the_whole_frame(left: int, top: int, side: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (300, 420, 3), np.uint8)
    crop = crop_face(
        Frame(0.0, pixels), np.array([left, top, left + side, top + side], np.float32), CropRecipe(margin=0.0)
    )
    x, y = min(max(left, 0), 420 - side), min(max(top, 0), 300 - side)
    whole = Image.fromarray(pixels).resize((224, 224), Image.Resampling.BILINEAR, box=(x, y, x + side, y + side))
    assert np.abs(crop.astype(int) - np.asarray(whole).astype(int)).max() <= 1

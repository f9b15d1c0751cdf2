"""Faces that are small, dark or cut off are found by a second look, when a clip shows no other."""

import tracemalloc
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from vavl_runtime import ArrayClip, Recognizer
from vavl_runtime.backends.ort.cpu import OnnxRuntimeBackend
from vavl_runtime.bundle import PACKAGED_BUNDLE, open_bundle
from vavl_runtime.bundle.manifest import CropRecipe, Limits
from vavl_runtime.faces import FaceLocator, Faces, Mtcnn
from vavl_runtime.faces.area import AreaSampler
from vavl_runtime.faces.boxes import overlap
from vavl_runtime.faces.second_look import AFTER_S, LONGEST_WAIT_S
from vavl_runtime.faces.window import Window, tiles
from vavl_runtime.media import Frame, open_source
from vavl_runtime.pipeline.graph_runner import GraphRunner
from vavl_runtime.timing import StageTimer

Picture = NDArray[np.uint8]
RECIPE = CropRecipe()
FACE = (120, 56, 215, 183)  # in every frame of `portrait`


@pytest.fixture(scope="module")
def detector() -> Mtcnn:
    graphs, timer = GraphRunner(open_bundle(PACKAGED_BUNDLE), OnnxRuntimeBackend(1)), StageTimer()
    return Mtcnn(partial(graphs.run, timer=timer), RECIPE)


@pytest.fixture(scope="module")
def portrait(example_clip: Path) -> Picture:
    """A frame of 360 x 360 with one face."""
    return next(open_source(example_clip, Limits()).frames()).pixels


def with_small_face(portrait: Picture, side: int, size: tuple[int, int], place: tuple[int, int]) -> Picture:
    """A plain grey frame with the portrait in it, so that the face is so many pixels high."""
    share = side / (FACE[3] - FACE[1])
    small = Image.fromarray(portrait).resize((round(360 * share),) * 2, Image.Resampling.LANCZOS)
    frame = Image.new("RGB", size, (110, 120, 130))
    frame.paste(small, place)
    return np.asarray(frame)


def expected_box(side: int, place: tuple[int, int]) -> NDArray[np.float32]:
    box: NDArray[np.float32] = np.float32(FACE) * np.float32(side / (FACE[3] - FACE[1])) + np.float32(place * 2)
    return box


def the_only_picture(detector: Mtcnn, pixels: Picture) -> NDArray[np.float32] | None:
    locate = FaceLocator(detector, RECIPE)
    locate.only_picture = True
    return locate(Frame(0.0, pixels, 0.04))


@pytest.mark.parametrize(
    ("side", "size"),
    [
        pytest.param(30, (3840, 2160), marks=pytest.mark.slow),
        (24, (1920, 1080)),
        (40, (1920, 1080)),
        (30, (1080, 1920)),
        (24, (700, 500)),
    ],
)
def test_a_small_face_in_a_large_picture_is_found(
    detector: Mtcnn, portrait: Picture, side: int, size: tuple[int, int]
) -> None:
    place = (size[0] * 5 // 8, size[1] // 3)
    pixels = with_small_face(portrait, side, size, place)
    box = the_only_picture(detector, pixels)
    assert box is not None
    assert overlap(box[None], expected_box(side, place)[None])[0, 0] > 0.6
    assert FaceLocator(detector, RECIPE)(Frame(0.0, pixels, 0.04)) is None  # the plain search alone


def backlit(portrait: Picture, share: float) -> NDArray[np.float64]:
    left, top, right, bottom = FACE
    pixels = portrait * 0.3 + 180.0
    pixels[top - 20 : bottom + 20, left - 20 : right + 20] = (portrait * share)[
        top - 20 : bottom + 20, left - 20 : right + 20
    ]
    return pixels


LIGHT = {
    "grey": lambda p: p.mean(axis=2, keepdims=True) + np.zeros(3),
    "infrared": lambda p: (p.mean(axis=2, keepdims=True) + np.zeros(3)) * 1.4 + 40,
    "dark 1/5": lambda p: p / 5,
    "dark 1/10": lambda p: p / 10,
    "dark 1/25": lambda p: p / 25,
    "flat 1/5": lambda p: 128 + (p - 128.0) / 5,
    "flat 1/20": lambda p: 128 + (p - 128.0) / 20,
    "backlit 1/5": lambda p: backlit(p, 0.2),
    "backlit 1/10": lambda p: backlit(p, 0.1),
    "backlit 1/20": lambda p: backlit(p, 0.05),
    "gamma 3": lambda p: 255 * (p / 255) ** 3,
    "gamma 1/3": lambda p: 255 * (p / 255) ** (1 / 3),
    "overexposed": lambda p: p * 2.0,
}


@pytest.mark.parametrize("light", LIGHT)
def test_a_face_is_found_in_any_light(detector: Mtcnn, portrait: Picture, light: str) -> None:
    pixels = np.clip(np.round(LIGHT[light](portrait)), 0, 255).astype(np.uint8)
    box = the_only_picture(detector, pixels)
    assert box is not None
    assert overlap(box[None], np.float32(FACE)[None])[0, 0] > 0.5


@pytest.mark.parametrize("edge", ["left", "top", "right", "bottom"])
@pytest.mark.parametrize("cut", [0.1, 0.2, 0.3, 0.4])
def test_a_face_cut_by_the_edge_is_found(detector: Mtcnn, portrait: Picture, edge: str, cut: float) -> None:
    left, top, right, bottom = FACE
    across, down = round(cut * (right - left)), round(cut * (bottom - top))
    x, y = (left + across if edge == "left" else 0), (top + down if edge == "top" else 0)
    pixels = portrait[y : bottom - down if edge == "bottom" else None, x : right - across if edge == "right" else None]
    box = the_only_picture(detector, np.ascontiguousarray(pixels))
    assert box is not None
    inside = np.float32([pixels.shape[1], pixels.shape[0]] * 2)
    seen, visible = (np.clip(b, 0, inside) for b in (box, np.float32(FACE) - np.float32([x, y, x, y])))
    assert overlap(seen[None], visible[None])[0, 0] > 0.5


def test_a_clip_with_faces_is_searched_as_before(detector: Mtcnn, example_clip: Path) -> None:
    shapes: list[tuple[int, ...]] = []

    class Counting:
        def detect(self, image: Picture, at_least: float = 0.0) -> Faces:
            shapes.append(image.shape)
            return detector.detect(image, at_least)

    locate = FaceLocator(Counting(), RECIPE)  # type: ignore[arg-type]
    for number, frame in enumerate(open_source(example_clip, Limits()).frames()):
        if number % 20 == 0:
            box = locate(frame)
            assert box is not None
            every = detector.detect(frame.pixels)
            assert len(every.boxes) == 1
            assert np.abs(box - every.boxes[0]).max() <= 2.0
    assert shapes == [(360, 360, 3)] * 4


class SquareDetector:
    """Sees a white square from the recipe's smallest face on, and counts the pixels that it was shown."""

    def __init__(self) -> None:
        self.pixels = 0
        self.shapes: list[tuple[int, ...]] = []

    def detect(self, image: Picture, at_least: float = 0.0) -> Faces:
        assert image.size > 0
        self.pixels += image[:, :, 0].size
        self.shapes.append(image.shape)
        y, x = np.nonzero(image[:, :, 0] > 250)
        if not len(y) or min(np.ptp(x), np.ptp(y)) + 1 < RECIPE.min_face:
            return Faces(np.empty((0, 4), np.float32), np.empty(0, np.float32), np.empty((0, 5, 2), np.float32))
        box = np.float32([[x.min(), y.min(), x.max() + 1, y.max() + 1]])
        whole = np.float32([0.9 + len(y) * 1e-6])  # a part of the square is less probable
        return Faces(box, whole, np.zeros((1, 5, 2), np.float32))


def square(width: int, height: int, left: int, top: int, side: int) -> Picture:
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[top : top + side, left : left + side] = 255
    return pixels


@settings(max_examples=40)
@given(
    width=st.integers(650, 3000),
    height=st.integers(100, 2000),
    side=st.integers(RECIPE.min_face, 90),
    across=st.floats(0, 1),
    down=st.floats(0, 1),
)
def test_no_tile_edge_hides_a_face(width: int, height: int, side: int, across: float, down: float) -> None:
    left, top = round(across * (width - side)), round(down * (height - side))
    locate = FaceLocator(SquareDetector(), RECIPE)  # type: ignore[arg-type]
    locate.only_picture = True
    box = locate(Frame(0.0, square(width, height, left, top, side)))
    assert box is not None
    divisor = -(-max(width, height) // RECIPE.detect_max_side)
    assert np.abs(box - np.float32([left, top, left + side, top + side])).max() <= divisor


@given(width=st.integers(1, 5000), height=st.integers(1, 5000), side=st.integers(100, 700), shared=st.integers(1, 90))
def test_tiles_cover_all_and_share_what_they_should(width: int, height: int, side: int, shared: int) -> None:
    cover = tiles(Window(0, 0, width, height), side, shared)
    for low, high, length in (("left", "right", width), ("top", "bottom", height)):
        parts = sorted({(getattr(tile, low), getattr(tile, high)) for tile in cover})
        assert parts[0][0] == 0 and parts[-1][1] == length
        assert all(0 < end - start <= side for start, end in parts)
        assert all(before[1] - after[0] >= shared for before, after in pairwise(parts))


def searches(seconds: float, frames: list[Picture], rate: float = 25.0) -> list[tuple[float, bool, int]]:
    """Search every fifth frame: its time, whether a face is found, and how many pixels the detector was shown."""
    detector = SquareDetector()
    locate = FaceLocator(detector, RECIPE)  # type: ignore[arg-type]
    told = []
    for number in range(0, round(seconds * rate), 5):
        frame = Frame(number / rate, frames[number * len(frames) // round(seconds * rate)], 1 / rate)
        before = detector.pixels
        found = locate(frame) is not None
        told.append((frame.time_s, found, detector.pixels - before))
    return told


def test_without_a_face_the_second_look_comes_ever_more_seldom_and_costs_little() -> None:
    plain = 640 * 480
    told = searches(30.0, [square(640, 480, 0, 0, 1)])
    looks = [time_s for time_s, _, pixels in told if pixels > plain]
    assert AFTER_S - 0.2 <= looks[0] <= AFTER_S + 0.2
    waits = np.diff(looks)
    assert waits.min() >= AFTER_S
    assert LONGEST_WAIT_S <= waits[-1] <= LONGEST_WAIT_S + 0.2
    for seconds in (10.0, 30.0):
        pixels = sum(pixels for time_s, _, pixels in told if time_s < seconds)
        assert pixels <= 1.3 * plain * seconds * 5


def test_a_small_face_is_found_within_a_second_and_followed_cheaply() -> None:
    frames = [square(1920, 1080, 900 + 2 * number, 500, 30) for number in range(50)]
    told = searches(4.0, frames)
    found = [time_s for time_s, there, _ in told if there]
    assert found[0] <= AFTER_S + 0.2
    assert found == [time_s for time_s, _, _ in told if time_s >= found[0]]  # in every search from then on
    plain = 640 * 360
    assert all(pixels == plain for time_s, _, pixels in told if time_s < found[0])
    assert all(plain < pixels < 1.1 * plain for time_s, _, pixels in told if time_s > found[0])


def test_a_face_that_leaves_is_looked_for_anew_after_a_second() -> None:
    there, gone = square(1920, 1080, 900, 500, 30), square(1920, 1080, 0, 0, 1)
    elsewhere = square(1920, 1080, 100, 900, 30)
    told = searches(12.0, [there, gone, elsewhere])
    assert [found for time_s, found, _ in told if 4.2 <= time_s < 8.0] == [False] * 19
    again = min(time_s for time_s, found, _ in told if found and time_s >= 8.0)
    assert again - 8.0 <= LONGEST_WAIT_S


def test_frames_that_become_smaller_are_searched() -> None:
    told = searches(4.0, [square(1920, 1080, 1800, 1000, 30), square(640, 360, 0, 0, 1)])
    assert {found for time_s, found, _ in told if time_s >= 2.0} == {False}


def test_a_second_look_at_a_4k_picture_needs_little_memory() -> None:
    """The summed-area table of the whole picture takes 100 MB."""

    class Summing(SquareDetector):
        def detect(self, image: Picture, at_least: float = 0.0) -> Faces:
            AreaSampler(image)
            return super().detect(image, at_least)

    locate = FaceLocator(Summing(), RECIPE)  # type: ignore[arg-type]
    locate.only_picture = True
    frame = Frame(0.0, np.zeros((2160, 3840, 3), np.uint8))
    tracemalloc.start()
    try:
        assert locate(frame) is None
        assert tracemalloc.get_traced_memory()[1] < 20 << 20
    finally:
        tracemalloc.stop()


def test_a_picture_and_a_film_with_a_small_face_are_answered(
    recognizer: Recognizer, portrait: Picture, tmp_path: Path
) -> None:
    pixels = with_small_face(portrait, 30, (1280, 720), (800, 200))
    Image.fromarray(pixels).save(tmp_path / "picture.png")
    picture = recognizer.predict(tmp_path / "picture.png")
    assert (picture.path, picture.faces.with_face) == ("visual", 1)
    film = recognizer.predict(ArrayClip(frames=np.stack([pixels] * 15), times_s=np.arange(15) / 5))
    assert film.path == "visual"
    assert film.faces.with_face >= 9  # of 15: all after the first second

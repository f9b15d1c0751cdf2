"""A face that never moves is reported, as a poster or as a still picture; living faces are not."""

import io
from collections.abc import Callable, Iterator
from functools import partial
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
from vavl_runtime.faces import FaceLocator, Mtcnn
from vavl_runtime.faces.stillness import LEAST_S, StillFace, Stillness
from vavl_runtime.media import Frame, open_source
from vavl_runtime.pipeline.graph_runner import GraphRunner
from vavl_runtime.timing import StageTimer

Picture = NDArray[np.uint8]
BOX = np.float32([120, 56, 215, 183])  # the face in every frame of `portrait`
STEP_S = 0.2


@pytest.fixture(scope="module")
def portrait(example_clip: Path) -> Picture:
    """A frame of 360 x 360 with one face."""
    return next(open_source(example_clip, Limits()).frames()).pixels


def watched(pictures: Iterator[Picture] | list[Picture], boxes: NDArray[np.float32] = BOX) -> StillFace | None:
    stillness = Stillness()
    for number, pixels in enumerate(pictures):
        stillness.see(Frame(number * STEP_S, pixels, 0.04), boxes if boxes.ndim == 1 else boxes[number])
    return stillness.longest


def with_street(portrait: Picture, number: int) -> Picture:
    """Beside the portrait, something goes by."""
    street = np.full((360, 300, 3), 90, np.uint8)
    street[200:300, 10 * number : 10 * number + 60] = 220
    return np.concatenate([portrait, street], axis=1)


def noisy(pixels: Picture, number: int, levels: float) -> Picture:
    noise = np.random.default_rng(number).normal(0, levels, pixels.shape)
    return np.clip(pixels + noise, 0, 255).astype(np.uint8)


def coded(pixels: Picture, number: int, quality: int) -> Picture:
    """JPEG at a quality that changes a little from frame to frame, as that of a camera does."""
    file = io.BytesIO()
    Image.fromarray(noisy(pixels, number, 2.0)).save(file, "JPEG", quality=quality + number % 3)
    return np.asarray(Image.open(file))


def flickering(pixels: Picture, number: int) -> Picture:
    return np.clip(pixels * (1.0 + 0.05 * np.sin(2.3 * number)), 0, 255).astype(np.uint8)


def trembling_box() -> NDArray[np.float32]:
    return BOX + np.random.default_rng(0).uniform(-4, 4, (20, 4)).astype(np.float32)


@pytest.mark.parametrize(
    "camera",
    [
        lambda pixels, number: pixels,
        partial(noisy, levels=3.0),
        partial(noisy, levels=8.0),
        partial(coded, quality=50),
        flickering,
    ],
    ids=["perfect", "noise", "much noise", "coding", "flicker"],
)
def test_a_poster_beside_a_street_is_told(portrait: Picture, camera: Callable[[Picture, int], Picture]) -> None:
    found = watched([camera(with_street(portrait, n), n) for n in range(20)], trembling_box())
    assert found is not None
    assert (found.start_s, found.end_s, found.whole_picture) == (0.0, pytest.approx(19 * STEP_S), False)


def test_a_photograph_is_told_from_a_poster(portrait: Picture) -> None:
    found = watched([noisy(portrait, n, 3.0) for n in range(20)])
    assert found is not None and found.whole_picture


@settings(max_examples=30)
@given(still=st.integers(1, 40), after=st.integers(0, 10))
def test_only_the_stretch_without_motion_is_told(still: int, after: int) -> None:
    portrait = np.random.default_rng(0).integers(0, 256, (36, 36, 3)).astype(np.uint8).repeat(10, 0).repeat(10, 1)
    moved = [np.roll(portrait, 12 * (1 + n % 7), axis=1) for n in range(after)]
    found = watched([portrait] * still + moved)
    span_s = (still - 1) * STEP_S
    assert (found is not None) == (span_s >= LEAST_S - 1e-9)
    if found is not None:
        assert (found.start_s, found.end_s) == (0.0, pytest.approx(span_s))


def talking(portrait: Picture, number: int) -> Picture:
    """The mouth opens and closes: a dark ellipse a third as wide as the face."""
    pixels = portrait.copy()
    y, x = np.indices(pixels.shape[:2])
    pixels[((x - 166) / 16) ** 2 + ((y - 158) / max(2.0 + 8 * np.sin(number), 0.1)) ** 2 < 1] = (60, 20, 20)
    return pixels


def swaying(portrait: Picture, number: int) -> Picture:
    return np.roll(portrait, round(3 * np.sin(number)), axis=1)


@pytest.mark.parametrize("living", [talking, swaying])
def test_what_moves_is_not_told(portrait: Picture, living: Callable[[Picture, int], Picture]) -> None:
    assert watched([living(portrait, n) for n in range(40)]) is None


def test_a_face_that_jumps_to_another_place_is_another_face(portrait: Picture) -> None:
    boxes = np.stack([BOX if n < 10 else BOX + 150 for n in range(20)])
    assert watched([portrait] * 20, boxes) is None


@pytest.mark.parametrize("box", [(-50, -50, -20, -20), (400, 400, 500, 500), (10, 10, 10, 10)])
def test_any_box_is_taken(box: tuple[int, ...]) -> None:
    watched([np.zeros((20, 20, 3), np.uint8)] * 3, np.float32(box))


@pytest.mark.parametrize(
    ("seconds", "street", "kinds"), [(4.0, True, ["still_face"]), (4.0, False, ["still_picture"]), (2.0, True, [])]
)
def test_the_result_has_a_note(
    recognizer: Recognizer, portrait: Picture, seconds: float, street: bool, kinds: list[str]
) -> None:
    times = np.arange(0, seconds, 0.1)
    frames = [with_street(portrait, n if street else 0) for n in range(len(times))]
    result = recognizer.predict(ArrayClip(frames=np.stack(frames), times_s=times))
    assert result.path == "visual"
    assert [note.kind for note in result.notes] == kinds
    assert all(note.modality == "visual" and "between 0.00 and 3.90 s" in note.message for note in result.notes)


@pytest.mark.slow
def test_living_faces_are_not_told(shared: Path) -> None:
    graphs, timer = GraphRunner(open_bundle(PACKAGED_BUNDLE), OnnxRuntimeBackend(1)), StageTimer()
    films = sorted((shared / "corpora" / "javanese" / "video").glob("*.mp4"))[::24]
    films += [shared / "clips" / name for name in ("face_pexels.mp4", "face_then_none_vfr.mov")]
    for film in films:
        locate, stillness = (
            FaceLocator(Mtcnn(partial(graphs.run, timer=timer), CropRecipe()), CropRecipe()),
            Stillness(),
        )
        for number, frame in enumerate(open_source(film, Limits()).frames()):
            box = locate(frame) if number % 10 == 0 else None
            if box is not None:
                stillness.see(frame, box)
        assert stillness.longest is None, film.name

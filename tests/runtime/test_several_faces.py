"""How many faces a clip shows at once, and which one was taken, stands in the result."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from vavl_runtime import ArrayClip, ClipResult, Recognizer
from vavl_runtime.bundle.manifest import Limits
from vavl_runtime.media import open_source

Picture = NDArray[np.uint8]
FACE = (120, 56, 215, 183)  # in every frame of `portrait`


@pytest.fixture(scope="module")
def portrait(example_clip: Path) -> Picture:
    """A frame of 360 x 360 with one face."""
    return next(open_source(example_clip, Limits()).frames()).pixels


def side_by_side(portrait: Picture, sides: list[int]) -> Picture:
    row = Image.new("RGB", (sum(sides), max(sides)), (110, 120, 130))
    for number, side in enumerate(sides):
        row.paste(Image.fromarray(portrait).resize((side, side)), (sum(sides[:number]), 0))
    return np.asarray(row)


def kinds(result: ClipResult) -> list[str]:
    return [note.kind for note in result.notes]


@pytest.mark.parametrize("sides", [[240], [160, 240], [140, 240, 180]])
def test_faces_are_counted_and_the_largest_is_taken(
    recognizer: Recognizer, portrait: Picture, sides: list[int]
) -> None:
    result = recognizer.predict(ArrayClip(frames=side_by_side(portrait, sides)[None]))
    assert result.faces.at_once == len(sides)
    assert result.faces.taken is not None
    left = sum(sides[: sides.index(240)])
    expected = np.float32(FACE) * (240 / 360) + np.float32([left, 0, left, 0])
    assert np.abs(np.float32(result.faces.taken.box) - expected).max() < 12
    assert kinds(result) == (["several_faces"] if len(sides) > 1 else [])
    if len(sides) > 1:
        x, y = (round(value) for value in result.faces.taken.box[:2])
        assert result.notes[0].message.startswith(f"{len(sides)} faces are seen at once at 0.00 s")
        assert result.notes[0].message.endswith(f"at ({x}, {y})")
    record = json.loads(json.dumps(result.to_dict()))
    assert record["faces"]["at_once"] == len(sides)
    assert record["faces"]["taken"]["box"] == [round(value, 1) for value in result.faces.taken.box]


def test_the_frame_with_the_most_faces_counts(recognizer: Recognizer, portrait: Picture) -> None:
    one, two = side_by_side(portrait, [240, 1, 239]), side_by_side(portrait, [240, 240])
    one = one.copy()
    one[:, 241:] = 100
    frames = np.stack([one] * 10 + [two] * 10 + [one] * 10)
    result = recognizer.predict(ArrayClip(frames=frames, fps=10.0))
    assert result.faces.at_once == 2
    assert result.faces.taken is not None
    assert 1.0 <= result.faces.taken.time_s < 1.5  # the first of them


def test_without_a_face_nothing_is_taken(recognizer: Recognizer) -> None:
    result = recognizer.predict(ArrayClip(frames=np.zeros((3, 64, 64, 3), np.uint8)))
    assert result.to_dict()["faces"] == {"frames": 3, "with_face": 0, "at_once": 0, "taken": None}
    assert kinds(result) == []


def test_processes_apart_say_the_same(recognizer: Recognizer, portrait: Picture) -> None:
    frames = np.stack([side_by_side(portrait, [160, 240])] * 8)
    clips = [ArrayClip(frames=frames, times_s=np.arange(8) / 2)]
    (alone,), (apart,) = recognizer.predict_many(clips), recognizer.predict_many(clips, jobs=1)
    assert kinds(alone) == ["several_faces", "still_picture"]
    assert (apart.faces, apart.notes) == (alone.faces, alone.notes)


def test_the_picture_of_several_faces(recognizer: Recognizer, shared: Path) -> None:
    result = recognizer.predict(shared / "clips" / "several_faces.jpg")
    assert result.faces.at_once == 5
    assert kinds(result) == ["several_faces"]

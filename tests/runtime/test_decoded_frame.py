"""Frames wait as they were decoded: what is looked at later, or in part, is what the whole frame would have been."""

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.runtime.made_pictures import blocks, set_display_matrix, write_frames
from vavl_runtime import Recognizer
from vavl_runtime.bundle.manifest import Limits
from vavl_runtime.errors import DamagedMediaError, OverLimitError
from vavl_runtime.media import Frame, open_source
from vavl_runtime.media.areas import Area
from vavl_runtime.media.decoded_frame import DecodedFrame
from vavl_runtime.media.orientation import orient, stored_area
from vavl_runtime.media.pictures import PictureMaker
from vavl_runtime.notes import Notes
from vavl_runtime.timing import StageTimer

FORMATS = {  # what decoders give, and the bits of a value
    **dict.fromkeys(["yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuv440p", "yuv411p", "yuv410p"], 8),
    **dict.fromkeys(["nv12", "yuyv422", "uyvy422", "gray", "rgb24", "bgr0", "gbrp", "rgba", "yuva420p", "pal8"], 8),
    **dict.fromkeys(["yuv420p10le", "yuv422p10le", "yuv444p10le", "gray10le", "gbrp10le"], 10),
    **dict.fromkeys(["yuv420p12le", "p010le", "rgb48le", "monow"], 16),
}
RIGHT_ANGLES = [(a, 0, 0, d) for a, d in product((1, -1), repeat=2)] + [
    (0, b, c, 0) for b, c in product((1, -1), repeat=2)
]


def noise(width: int, height: int, pixel_format: str, seed: int = 0) -> Any:
    frame = av.VideoFrame(width, height, pixel_format)
    bits = FORMATS[pixel_format]
    random = np.random.default_rng(seed)
    for plane in frame.planes:
        kind = np.dtype("<u2" if bits > 8 and pixel_format != "monow" else "u1")
        values = random.integers(0, 1 << min(bits, 8 * kind.itemsize), plane.buffer_size // kind.itemsize, kind)
        plane.update(values.tobytes())
    frame.time_base, frame.pts = Fraction(1, 25), 0
    return frame


@contextmanager
def plainly() -> Iterator[None]:
    yield


def waiting(frame: Any, maker: PictureMaker) -> DecodedFrame:
    assert maker.may_wait(frame)
    return DecodedFrame(0.0, 0.04, frame, maker, plainly)


def maker(pixel_shape: Fraction | None = None) -> PictureMaker:
    return PictureMaker(pixel_shape, 10**7, Notes())


@st.composite
def areas(draw: st.DrawFn, width: int, height: int) -> tuple[int, int, int, int]:
    left, top = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    # An area may reach beyond the edge, as a slice may.
    return left, top, draw(st.integers(left + 1, width + 9)), draw(st.integers(top + 1, height + 9))


@settings(deadline=None, max_examples=150)
@given(
    data=st.data(),
    width=st.integers(1, 150),
    height=st.integers(1, 150),
    pixel_format=st.sampled_from(sorted(FORMATS)),
    matrix=st.sampled_from([1, 2, 5, 9, 14]),
    full=st.booleans(),
    shape=st.sampled_from([None, Fraction(1), Fraction(16, 11)]),
)
def test_an_area_is_a_part_of_the_whole(
    data: st.DataObject, width: int, height: int, pixel_format: str, matrix: int, full: bool, shape: Fraction | None
) -> None:
    if pixel_format in ("yuyv422", "uyvy422"):  # FFmpeg has no such pictures of odd width
        width += width % 2
    frame = noise(width, height, pixel_format)
    frame.colorspace, frame.color_range = matrix, 2 if full else 1
    made = maker(shape)
    whole = waiting(frame, made).pixels
    assert waiting(frame, made).size == whole.shape[:2]
    for left, top, right, bottom in data.draw(st.lists(areas(whole.shape[1], whole.shape[0]), min_size=1, max_size=4)):
        found = waiting(frame, made).area(left, top, right, bottom)
        assert np.array_equal(found, whole[top:bottom, left:right])


def test_areas_of_all_sizes_have_their_neighbours() -> None:
    """Their sides are rounded up, which may hide that a neighbour is missing."""
    frame, made = noise(128, 128, "yuv420p"), maker()
    whole = waiting(frame, made).pixels
    for side in range(1, 128):
        assert np.array_equal(waiting(frame, made).area(0, 0, side, side), whole[:side, :side])
        assert np.array_equal(waiting(frame, made).area(side, side, 128, 128), whole[side:, side:])


def test_frames_of_a_stream_may_change_in_size_format_and_colours() -> None:
    made = maker()
    frames = [
        noise(128, 96, "yuv420p"),
        noise(96, 128, "yuv420p"),
        noise(96, 128, "yuv444p"),
        noise(96, 128, "yuv444p"),
    ]
    frames[3].colorspace, frames[3].color_range = 1, 2
    for frame in [*frames, *reversed(frames)]:
        assert np.array_equal(waiting(frame, made).area(7, 9, 61, 50), waiting(frame, maker()).pixels[9:50, 7:61])


@settings(deadline=None, max_examples=60)
@given(data=st.data(), matrix=st.sampled_from(RIGHT_ANGLES), width=st.integers(1, 20), height=st.integers(1, 20))
def test_areas_are_found_in_turned_and_mirrored_pictures(
    data: st.DataObject, matrix: tuple[int, int, int, int], width: int, height: int
) -> None:
    stored = np.arange(width * height * 3).reshape(height, width, 3)
    shown = orient(stored, matrix)
    left, top, right, bottom = data.draw(areas(shown.shape[1], shown.shape[0]))
    area = Area(left, top, min(right, shown.shape[1]), min(bottom, shown.shape[0]))
    inner = stored_area(area, matrix, width, height)
    found = orient(stored[inner.top : inner.bottom, inner.left : inner.right], matrix)
    assert np.array_equal(found, shown[top:bottom, left:right])


@pytest.mark.parametrize("matrix", RIGHT_ANGLES)
def test_areas_of_a_turned_film(matrix: tuple[int, int, int, int], tmp_path: Path) -> None:
    film = write_frames(tmp_path / "film.mp4", [blocks(160, 96)] * 2, codec="libx264", pixel_format="yuv420p")
    set_display_matrix(film, matrix)
    for part, whole in zip(open_source(film, Limits()).frames(), open_source(film, Limits()).frames(), strict=True):
        assert part.size == whole.pixels.shape[:2]
        assert np.array_equal(part.area(21, 33, 60, 71), whole.pixels[33:71, 21:60])


def test_ordinary_films_are_converted_in_part(example_clip: Path) -> None:
    """Otherwise nothing is gained; and phones turn their films."""
    frame = next(open_source(example_clip, Limits()).frames())
    before = frame.nbytes
    height, width = frame.size
    frame.area(0, 0, 40, 40)
    assert frame.nbytes == before < height * width * 2
    assert frame.pixels.nbytes == height * width * 3 == frame.nbytes


def test_conversion_is_booked_where_it_happens(example_clip: Path) -> None:
    timer = StageTimer()
    frames = list(open_source(example_clip, Limits(), timer).frames())
    assert "convert" not in timer.milliseconds()
    assert frames[0].area(0, 0, 9, 9).shape == (9, 9, 3)
    assert timer.milliseconds()["convert"] > 0


def test_high_dynamic_range_is_converted_in_order(tmp_path: Path) -> None:
    """Its brightest pixels so far decide on its colours, so it must not wait."""
    frames = [noise(64, 48, "yuv420p10le", seed) for seed in range(2)]
    for frame in frames:
        frame.color_trc, frame.colorspace, frame.color_primaries, frame.color_range = 16, 9, 9, 1
    film = write_frames(tmp_path / "film.mkv", frames, pixel_format="yuv420p10le")
    assert [type(frame) for frame in open_source(film, Limits()).frames()] == [Frame, Frame]


def fails(error: Exception, *_: Any, **__: Any) -> Any:
    raise error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (av.error.InvalidDataError(1, "no such colours"), DamagedMediaError),
        (av.error.MemoryError(12, "no memory"), OverLimitError),
        (ValueError("no such colours"), DamagedMediaError),
    ],
)
def test_errors_of_conversion_name_the_clip(
    error: Exception, expected: type[Exception], example_clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = next(open_source(example_clip, Limits()).frames())
    monkeypatch.setattr(PictureMaker, "__call__", partial(fails, error))
    monkeypatch.setattr(PictureMaker, "area", partial(fails, error))
    with pytest.raises(expected, match=r"astronaut.mp4: picture cannot be converted"):
        frame.area(0, 0, 9, 9)
    with pytest.raises(expected, match=r"astronaut.mp4: picture cannot be converted"):
        _ = frame.pixels


@pytest.mark.parametrize("place", ["__call__", "area"])
def test_a_clip_whose_pictures_cannot_be_converted_is_answered_by_its_sound(
    place: str, recognizer: Recognizer, example_clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PictureMaker, place, partial(fails, av.error.InvalidDataError(1, "no such colours")))
    result = recognizer.predict(example_clip)
    assert result.path == "audio"
    assert result.reasons.visual == DamagedMediaError.kind

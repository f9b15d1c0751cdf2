"""Pictures as a person would see them: orientation, shape of pixels, cropping, transparency, lines of two times."""

import sys
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.bitstream import BitStreamFilterContext
from numpy.typing import NDArray
from PIL import Image, ImageOps

from tests.runtime.made_media import jpeg
from tests.runtime.made_pictures import blocks, levels_between, notes, pictures, set_display_matrix, write_frames
from vavl_runtime.bundle.manifest import Limits
from vavl_runtime.errors import DamagedMediaError
from vavl_runtime.media import open_source
from vavl_runtime.media.orientation import UPRIGHT, display_matrix, nearest
from vavl_runtime.media.pictures import square

RIGHT_ANGLES = [(a, 0, 0, d) for a, d in product((1, -1), repeat=2)]
RIGHT_ANGLES += [(0, b, c, 0) for b, c in product((1, -1), repeat=2)]
TOLERANCE = 6.0  # levels in the mean: lossy pictures, coloured at half the resolution, which blurs hard edges
ORIENTATION = 0x0112  # the tag of EXIF


def shown(pixels: NDArray[np.uint8], matrix: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    """Put each pixel where the display matrix sends it."""
    a, b, c, d = matrix
    y, x = np.indices(pixels.shape[:2])
    across, down = a * x + c * y, b * x + d * y
    across, down = across - across.min(), down - down.min()
    result = np.empty((down.max() + 1, across.max() + 1, 3), np.uint8)
    result[down, across] = pixels
    return result


@pytest.mark.parametrize("matrix", RIGHT_ANGLES)
def test_all_display_matrices(matrix: tuple[int, int, int, int], tmp_path: Path) -> None:
    film = write_frames(tmp_path / "film.mp4", [blocks()] * 3, codec="libx264", pixel_format="yuv420p")
    found = pictures(set_display_matrix(film, matrix))
    assert len(found) == 3
    assert levels_between(found[0], shown(blocks(), matrix)) < TOLERANCE
    assert found[0].flags.c_contiguous


@pytest.mark.parametrize("suffix", ["jpg", "png"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_all_orientations_of_exif(orientation: int, suffix: str, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    path = tmp_path / f"picture.{suffix}"
    Image.fromarray(blocks()).save(path, exif=exif, **({"quality": 95} if suffix == "jpg" else {}))
    with Image.open(path) as picture:
        expected = np.asarray(ImageOps.exif_transpose(picture))
    assert levels_between(pictures(path)[0], expected) < TOLERANCE


@pytest.mark.parametrize("values", [(0, 0, 0, 0), (1000, 30, -20, 900)], ids=["zeros", "almost upright"])
def test_a_strange_matrix_does_not_turn(values: tuple[int, ...]) -> None:
    a, b, c, d = values
    assert nearest(np.array([a, b, 0, c, d, 0, 0, 0, 1 << 30], np.int32)) == UPRIGHT


def test_frames_are_freed_without_the_garbage_collector(tmp_path: Path) -> None:
    """It comes too late: until then, a film in 4K takes a gigabyte."""
    film = write_frames(tmp_path / "film.mp4", [blocks()] * 3, codec="libx264", pixel_format="yuv420p")
    with av.open(str(set_display_matrix(film, (0, 1, -1, 0)))) as container:
        frame = next(container.decode(video=0))
    before = sys.getrefcount(frame)
    assert display_matrix(frame) == (0, 1, -1, 0)
    assert sys.getrefcount(frame) == before


@pytest.mark.parametrize(
    ("pixel_shape", "size"), [("2:1", (48, 128)), ("1:2", (96, 64)), ("16:11", (48, 93)), ("1:1", (48, 64))]
)
def test_pixels_become_square(pixel_shape: str, size: tuple[int, int], tmp_path: Path) -> None:
    film = write_frames(tmp_path / "film.mp4", [blocks()] * 2, pixel_shape=pixel_shape)
    found = pictures(film)[0]
    assert found.shape[:2] == size
    expected = np.asarray(Image.fromarray(blocks()).resize(size[::-1], Image.Resampling.BILINEAR))
    assert levels_between(found, expected) < TOLERANCE


def test_pixels_become_square_before_the_picture_is_turned(tmp_path: Path) -> None:
    film = write_frames(
        tmp_path / "film.mp4", [blocks()] * 2, codec="libx264", pixel_format="yuv420p", pixel_shape="2:1"
    )
    assert pictures(set_display_matrix(film, (0, 1, -1, 0)))[0].shape[:2] == (128, 48)


def test_an_absurd_shape_of_pixels_is_ignored_and_told(tmp_path: Path) -> None:
    film = write_frames(tmp_path / "film.mp4", [blocks()] * 2, pixel_shape="40:1")
    assert pictures(film)[0].shape[:2] == (48, 64)
    assert notes(film) == ["pixel_shape_ignored"]


@pytest.mark.parametrize("shape", ["8", "1/8", "3/2", "2/3"])
@pytest.mark.parametrize("most", [100 * 60, 100 * 60 * 2, 10**6])
def test_square_pixels_never_make_a_picture_too_large(shape: str, most: int) -> None:
    pixel_shape = Fraction(shape)
    width, height = square(100, 60, pixel_shape, most)
    assert 0 < width * height <= most
    assert width / height == pytest.approx(100 / 60 * float(pixel_shape), rel=0.1)


def test_single_pictures_are_not_stretched(tmp_path: Path) -> None:
    """Scanners write how finely they scanned; no viewer stretches a picture for it."""
    path = tmp_path / "scan.jpg"
    Image.fromarray(blocks()).save(path, dpi=(300, 150))
    assert pictures(path)[0].shape[:2] == (48, 64)


@pytest.mark.parametrize("size", [(50, 38), (66, 34)])
def test_pictures_are_cropped_to_what_is_shown(size: tuple[int, int], tmp_path: Path) -> None:
    """H.264 stores whole blocks of 16 x 16 and a rectangle in them."""
    film = write_frames(tmp_path / "film.mp4", [blocks(*size)] * 2, codec="libx264", pixel_format="yuv420p")
    assert levels_between(pictures(film)[0], blocks(*size)) < TOLERANCE


def write_cropped(path: Path, pixels: NDArray[np.uint8], left: int, right: int, top: int, bottom: int) -> Path:
    """A film of H.264 with this rectangle in its headers."""
    whole = write_frames(path.with_name("whole.mp4"), [pixels] * 3, codec="libx264", pixel_format="yuv420p")
    options = f"crop_left={left}:crop_right={right}:crop_top={top}:crop_bottom={bottom}"
    with av.open(str(whole)) as source, av.open(str(path), "w") as output:
        stream = source.streams.video[0]
        copied = output.add_stream_from_template(stream)
        change = BitStreamFilterContext(f"h264_metadata={options}", stream, copied)
        for packet in source.demux(stream):
            if packet.dts is not None:
                for changed in change.filter(packet):
                    changed.stream = copied
                    output.mux(changed)
    return path


@pytest.mark.parametrize("crop", [(0, 8, 0, 6), (16, 8, 4, 6), (6, 0, 0, 0), (40, 2, 2, 2)])
def test_cropping_rectangles_are_applied_on_all_sides(crop: tuple[int, int, int, int], tmp_path: Path) -> None:
    whole = blocks(128, 96)
    left, right, top, bottom = crop
    found = pictures(write_cropped(tmp_path / "film.mp4", whole, *crop))[0]
    assert levels_between(found, whole[top : 96 - bottom, left : 128 - right]) < TOLERANCE


def transparent() -> tuple[Image.Image, NDArray[np.uint8]]:
    alpha = np.tile(np.linspace(0, 255, 64).astype(np.uint8), (48, 1))
    expected = np.round(blocks() * (alpha[..., None] / 255)).astype(np.uint8)
    return Image.fromarray(np.dstack([blocks(), alpha])), expected


def test_transparent_pictures_are_shown_on_black(tmp_path: Path) -> None:
    picture, expected = transparent()
    picture.save(tmp_path / "picture.png")
    assert np.abs(pictures(tmp_path / "picture.png")[0].astype(int) - expected).max() <= 1


def test_transparent_colours_of_a_palette_are_black(tmp_path: Path) -> None:
    picture = Image.fromarray(blocks()).quantize(12)
    picture.save(tmp_path / "picture.png", transparency=3)
    expected = np.asarray(picture.convert("RGB")) * (np.asarray(picture) != 3)[..., None]
    assert np.array_equal(pictures(tmp_path / "picture.png")[0], expected)


def combed(number: int) -> NDArray[np.uint8]:
    """A white bar that moves from left to right: even lines are taken before odd ones."""
    pixels = np.full((64, 96, 3), 40, np.uint8)
    for field in (0, 1):
        left = 8 * number + 4 * field
        pixels[field::2, left : left + 16] = 220
    return pixels


def write_interlaced(path: Path, *, flagged: bool) -> Path:
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream("mpeg2video", rate=25, options={"qmin": "1", "qmax": "1"})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv422p"
        stream.codec_context.options = {"flags": "+ildct+ilme", "top": "1"} if flagged else {}
        for number in range(8):
            frame = av.VideoFrame.from_ndarray(combed(number), format="rgb24")
            output.mux(stream.encode(frame.reformat(format="yuv422p")))
        output.mux(stream.encode())
    return path


def comb(pixels: NDArray[np.uint8]) -> float:
    """How much each line differs from the mean of its neighbours, levels."""
    lines = pixels.astype(np.float64)
    return float(np.abs(lines[1:-1] - (lines[:-2] + lines[2:]) / 2).mean())


def test_interlaced_frames_become_whole_pictures(tmp_path: Path) -> None:
    flagged = pictures(write_interlaced(tmp_path / "flagged.mkv", flagged=True))
    plain = pictures(write_interlaced(tmp_path / "plain.mkv", flagged=False))
    assert len(flagged) == len(plain) == 8
    assert np.mean([comb(picture) for picture in plain]) > 8
    assert np.mean([comb(picture) for picture in flagged[1:-1]]) < 3


def test_interlaced_frames_keep_their_times(tmp_path: Path) -> None:
    frames = list(open_source(write_interlaced(tmp_path / "film.mkv", flagged=True), Limits()).frames())
    assert [frame.time_s for frame in frames] == pytest.approx([n / 25 for n in range(8)], abs=2e-3)
    assert [frame.shown_s for frame in frames] == pytest.approx([1 / 25] * 8, abs=2e-3)


def test_a_frame_that_cannot_be_deinterlaced_is_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    film = write_interlaced(tmp_path / "film.mkv", flagged=True)

    def fails(_: Any) -> Any:
        raise av.error.InvalidDataError(1, "no such lines")

    monkeypatch.setattr("vavl_runtime.media.deinterlacing._yadif", fails)
    with pytest.raises(DamagedMediaError, match=r"cannot be deinterlaced \(no such lines\); re-encode it"):
        pictures(film)


def test_a_jpeg_without_exif_is_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "picture.jpg").write_bytes(jpeg(blocks()))
    assert levels_between(pictures(tmp_path / "picture.jpg")[0], blocks()) < TOLERANCE

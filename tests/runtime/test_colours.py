"""Colours: matrices and ranges as flagged, high dynamic range and wide gamut as on an ordinary screen."""

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.runtime.made_pictures import flat_frame, levels_between, notes, pictures, write_frames
from vavl_runtime.media.tone_mapping import ToneMapper, Transfer

Floats = NDArray[np.float64]
WEIGHTS = {1: (0.2126, 0.0722), 2: (0.299, 0.114), 5: (0.299, 0.114), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}
PQ, HLG, BT2020 = 16, 18, 9
MOST_LEVELS = 5.0
ROUNDING = 3  # levels that FFmpeg's fast conversion is off; another matrix or range is off by more


def to_rgb(values: tuple[int, int, int], bits: int, matrix: int, full: bool) -> Floats:
    """ITU-T H.273: RGB of Y, Cb and Cr, levels of 8 bits."""
    y, u, v = np.array(values, np.float64) / 2 ** (bits - 8)
    luma, cb, cr = (
        (y / 255, (u - 128) / 255, (v - 128) / 255) if full else ((y - 16) / 219, (u - 128) / 224, (v - 128) / 224)
    )
    red, blue = WEIGHTS[matrix]
    r, b = luma + 2 * (1 - red) * cr, luma + 2 * (1 - blue) * cb
    return np.clip(255 * np.array([r, (luma - red * r - blue * b) / (1 - red - blue), b]), 0, 255)


@pytest.mark.parametrize("full", [False, True], ids=["limited", "full"])
@pytest.mark.parametrize("matrix", WEIGHTS)
@pytest.mark.parametrize(("pixel_format", "bits"), [("yuv420p", 8), ("yuv444p", 8), ("yuv420p10le", 10)])
@pytest.mark.parametrize("values", [(120, 90, 180), (180, 140, 100), (60, 128, 128)])
def test_matrix_range_and_depth_are_honoured(
    values: tuple[int, int, int], pixel_format: str, bits: int, matrix: int, full: bool, tmp_path: Path
) -> None:
    first, second, third = (value << (bits - 8) for value in values)
    stored = (first, second, third)
    frames = [flat_frame(stored, pixel_format, matrix=matrix, full=full) for _ in range(2)]
    film = write_frames(tmp_path / "film.mkv", frames, pixel_format=pixel_format)
    assert np.abs(pictures(film)[0][16, 16] - to_rgb(stored, bits, matrix, full)).max() <= ROUNDING


def to_pq(light: Floats) -> Floats:
    """SMPTE ST 2084; light in cd/m²."""
    power = (light / 10_000) ** (2610 / 16384)
    codes: Floats = ((3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power)) ** (2523 / 32)
    return codes


def to_hlg(light: Floats) -> Floats:
    """ARIB STD-B67, on a screen of 1,000 cd/m²; light in cd/m²."""
    scene = (light / 1000) ** (1 / 1.2)
    log = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), log)


ENCODERS: dict[str, tuple[int, Callable[[Floats], Floats]]] = {"pq": (PQ, to_pq), "hlg": (HLG, to_hlg)}


def ordinary() -> NDArray[np.uint8]:
    """Greys from black to white, and colours."""
    greys = np.repeat(np.linspace(0, 255, 64).astype(np.uint8)[None, :, None], 3, 2).repeat(32, 0)
    colours = np.random.default_rng(5).integers(40, 216, (4, 8, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    return np.vstack([greys, colours])


def to_wide(pixels: NDArray[np.uint8], white: float) -> Floats:
    """Light with the primaries of BT.2020, cd/m², of a picture for an ordinary screen."""
    to_bt2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])
    light: Floats = white * (pixels / 255) ** 2.4 @ to_bt2020.T
    return light


@pytest.mark.parametrize("white", [100, 203])
@pytest.mark.parametrize("name", ENCODERS)
def test_high_dynamic_range_looks_like_the_ordinary_original(name: str, white: float, tmp_path: Path) -> None:
    transfer, encode = ENCODERS[name]
    codes = np.round(65535 * encode(to_wide(ordinary(), white))).astype(np.uint16)
    frame = av.VideoFrame.from_ndarray(codes, format="rgb48le")
    frame.colorspace, frame.color_range = BT2020, 1
    frames = [frame.reformat(format="yuv444p10le", dst_colorspace=9, dst_color_range=1) for _ in range(2)]
    for made in frames:
        made.color_trc, made.color_primaries = transfer, BT2020
    film = write_frames(tmp_path / "film.mkv", frames, pixel_format="yuv444p10le")
    for found in pictures(film):
        assert levels_between(found, ordinary()) < MOST_LEVELS
    assert notes(film) == []


def test_wide_gamut_looks_like_the_ordinary_original() -> None:
    codes = np.round(65283 * (to_wide(ordinary(), 1) ** (1 / 2.4))).astype(np.uint16)
    assert levels_between(ToneMapper("sdr")(codes), ordinary()) < 1


def test_films_in_display_p3_look_like_the_ordinary_original(tmp_path: Path) -> None:
    to_p3 = np.array([[0.8225, 0.1774, 0.0], [0.0332, 0.9669, 0.0], [0.0171, 0.0724, 0.9108]])
    codes = np.round(65535 * ((ordinary() / 255) ** 2.4 @ to_p3.T).clip(0, 1) ** (1 / 2.4)).astype(np.uint16)
    frame = av.VideoFrame.from_ndarray(codes, format="rgb48le").reformat(format="yuv444p10le", dst_colorspace=1)
    frame.colorspace, frame.color_trc, frame.color_primaries = 1, 1, 12
    film = write_frames(tmp_path / "film.mkv", [frame], pixel_format="yuv444p10le")
    assert levels_between(pictures(film)[0], ordinary()) < 2
    assert notes(film) == []


def test_primaries_that_cannot_be_converted_are_told(tmp_path: Path) -> None:
    frame = flat_frame((120, 90, 180), "yuv420p", matrix=1, full=False)
    frame.color_primaries = 11
    assert notes(write_frames(tmp_path / "film.mkv", [frame], pixel_format="yuv420p")) == ["colour_not_mapped"]


def test_colours_beyond_an_ordinary_screen_do_not_darken_the_rest() -> None:
    codes = np.zeros((64, 64, 3), np.uint16)
    codes[:, :32, 0] = 65283  # the red of BT.2020 is brighter than any red of BT.709
    codes[:, 32:] = 30000
    grey = ToneMapper("sdr")(codes)[0, -1]
    assert grey.tolist() == pytest.approx([255 * 30000 / 65283] * 3, abs=1)


@pytest.mark.parametrize("transfer", ["pq", "hlg"])
def test_highlights_are_compressed_and_keep_their_order(transfer: Transfer) -> None:
    encode = ENCODERS[transfer][1]
    light = np.linspace(0, 1000, 4096).reshape(64, 64, 1).repeat(3, 2)
    levels = ToneMapper(transfer)(np.round(65283 * encode(light)).astype(np.uint16))[..., 0].ravel().astype(int)
    assert (np.diff(levels) >= 0).all()
    assert levels[0] == 0
    assert levels[-1] == 255
    assert levels[np.searchsorted(light[..., 0].ravel(), 203)] < 250, "white keeps room for what is brighter"
    assert levels[np.searchsorted(light[..., 0].ravel(), 50)] == pytest.approx(255 * (50 / 203) ** (1 / 2.4), abs=2)


def test_the_curve_does_not_go_back_after_a_bright_frame() -> None:
    dim = np.full((64, 64, 3), round(65283 * float(to_pq(np.array(40.0)))), np.uint16)
    bright = np.full((64, 64, 3), round(65283 * float(to_pq(np.array(800.0)))), np.uint16)
    mapper = ToneMapper("pq")
    before = mapper(dim)
    mapper(bright)
    after, again = mapper(dim), mapper(dim)
    assert before[0, 0, 0] > after[0, 0, 0]
    assert np.array_equal(after, again)


@pytest.mark.parametrize("matrix", [8, 10, 14], ids=["YCgCo", "BT.2020 constant", "ICtCp"])
def test_a_matrix_that_cannot_be_converted_is_told(matrix: int, tmp_path: Path) -> None:
    frames = [flat_frame((120, 90, 180), "yuv420p", matrix=matrix, full=False) for _ in range(2)]
    film = write_frames(tmp_path / "film.mkv", frames, pixel_format="yuv420p")
    assert notes(film) == ["colour_not_mapped"]


def test_light_that_cannot_be_converted_is_told(tmp_path: Path) -> None:
    frame = flat_frame((120, 90, 180), "yuv420p", matrix=1, full=False)
    frame.color_trc = 8
    film = write_frames(tmp_path / "film.mkv", [frame], pixel_format="yuv420p")
    assert notes(film) == ["colour_not_mapped"]
    assert (
        notes(
            write_frames(
                tmp_path / "plain.mkv", [flat_frame((9, 9, 9), "yuv420p", matrix=1, full=False)], pixel_format="yuv420p"
            )
        )
        == []
    )

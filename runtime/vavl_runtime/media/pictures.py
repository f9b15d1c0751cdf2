"""Makes of decoded frames the pictures that a person would see: upright, square pixels, ordinary colours, on black."""

from collections import defaultdict
from fractions import Fraction
from functools import lru_cache
from typing import Any

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from vavl_runtime.media.areas import Area, AreaCutter, can_be_cut
from vavl_runtime.media.colour_profile import Convert, UnusableProfileError, to_srgb
from vavl_runtime.media.orientation import UPRIGHT, display_matrix, orient, stored_area
from vavl_runtime.media.tone_mapping import Gamut, ToneMapper, Transfer
from vavl_runtime.notes import Notes

# Flags of libswscale, as numbers: PyAV 17, the newest one for Python 3.10, has no names for them.
_BILINEAR, _FULL_CHROMA, _ACCURATE_ROUNDING, _BIT_EXACT = 1 << 1, 1 << 13, 1 << 18, 1 << 19
# FFmpeg's fast ways round differently on each kind of processor, and answers move by up to 0.1.
EXACT = _BILINEAR | _ACCURATE_ROUNDING | _BIT_EXACT
# Without full chroma, eight bits come out nearly two levels too dark in red; with it, sixteen bits come out wrong.
FLAGS = {"rgb24": EXACT | _FULL_CHROMA, "rgba": EXACT | _FULL_CHROMA, "rgb48le": EXACT}
SINGLE_PICTURES = frozenset({"jpeg_pipe", "png_pipe"})  # FFmpeg's names of their formats
# Numbers of ITU-T H.273, which FFmpeg uses.
_MATRICES = frozenset({0, 1, 2, 4, 5, 6, 7, 9})  # that FFmpeg's conversion knows; without one (2) it takes BT.601
_BT601, _BT2020, _BT2020_CONSTANT = 5, 9, 10
_TRANSFERS: dict[int, Transfer] = {16: "pq", 18: "hlg"}
_UNKNOWN_TRANSFERS = {8: "linear", 9: "logarithmic", 10: "logarithmic", 17: "SMPTE ST 428"}
_GAMUTS: dict[int, Gamut] = {9: "bt2020", 12: "p3"}
_UNKNOWN_GAMUTS = {8: "film", 10: "CIE 1931 XYZ", 11: "DCI-P3"}
_MOST_STRETCHED = 8  # pixels that are stretched more than this come from a damaged header
_ROWS = 64  # blended at once, so that a large picture needs little memory beside its own


class PictureMaker:
    """Converts the frames of one stream.

    Args:
        pixel_shape: Width of a pixel by its height; None if it is unknown.
        max_pixels: Largest picture, pixels.
        notes: Where it is noted what cannot be converted rightly.
        profile: Colour profile (ICC) of its frames, if they have one.
    """

    def __init__(
        self, pixel_shape: Fraction | None, max_pixels: int, notes: Notes, profile: bytes | None = None
    ) -> None:
        self._pixel_shape = _sane(pixel_shape, notes)
        self._is_square = self._pixel_shape == 1
        self._max_pixels = max_pixels
        self._notes = notes
        self._mappers: dict[tuple[Transfer, Gamut], ToneMapper] = {}
        # One for each format that is made, and one for areas: setting one up again costs time.
        self._reformatters: defaultdict[str, VideoReformatter] = defaultdict(VideoReformatter)
        self._area_reformatter = VideoReformatter()
        self._cutter = AreaCutter()
        self._to_srgb = self._converter(profile)

    def may_wait(self, frame: Any) -> bool:
        """Note what of a frame cannot be converted rightly.

        Args:
            frame: PyAV's frame.

        Returns:
            Whether it may be converted later, or never. If not, convert it before the next one: the brightest pixels up
            to here decide on its colours.
        """
        self._make_matrix_known(frame)
        return self._light(frame) is None

    def __call__(self, frame: Any) -> NDArray[np.uint8]:
        """Convert a frame.

        Args:
            frame: PyAV's frame.

        Returns:
            RGB, uint8, shape (H, W, 3).

        Raises:
            FFmpegError: FFmpeg cannot convert the frame.
            ValueError: PyAV cannot convert it.
        """
        self._make_matrix_known(frame)
        how = self._how(frame)
        light = self._light(frame)
        if light is None:
            pixels = self._converted(frame, "rgb24", how)
            if self._to_srgb is not None:
                pixels = self._to_srgb(pixels)
        else:
            if light not in self._mappers:
                self._mappers[light] = ToneMapper(*light)
            pixels = self._mappers[light](self._converted(frame, "rgb48le", how))
        if _may_be_transparent(frame.format.name):
            pixels = _on_black(pixels, self._converted(frame, "rgba", how)[..., 3])
        matrix = display_matrix(frame)
        return pixels if matrix == UPRIGHT else orient(pixels, matrix)

    def size(self, frame: Any) -> tuple[int, int]:
        """Height and width of what a frame is converted to."""
        how = self._how(frame)
        height, width = how.get("height", frame.height), how.get("width", frame.width)
        return (width, height) if display_matrix(frame)[1] else (height, width)

    def can_cut(self, frame: Any) -> bool:
        """Whether `area` gives what a part of the converted frame is; ask for frames that `may_wait` alone."""
        plain = self._is_square and not _may_be_transparent(frame.format.name) and self._to_srgb is None
        return plain and can_be_cut(frame)

    def area(self, frame: Any, area: Area) -> NDArray[np.uint8]:
        """Convert a part of a frame.

        Args:
            frame: PyAV's frame; one that this object `can_cut`.
            area: Within the picture that the frame is converted to.

        Returns:
            RGB, uint8, shape (H, W, 3).

        Raises:
            FFmpegError: FFmpeg cannot convert the frame.
            ValueError: PyAV cannot convert it.
        """
        matrix = display_matrix(frame)
        inner = stored_area(area, matrix, frame.width, frame.height)
        outer = inner.with_border(frame.width, frame.height)
        cut = self._cutter(frame, outer)
        # One thread: an area is too small to be shared out.
        made: Any = self._area_reformatter.reformat(
            cut, format="rgb24", interpolation=FLAGS["rgb24"], threads=1
        ).to_ndarray()
        rows = slice(inner.top - outer.top, inner.bottom - outer.top)
        columns = slice(inner.left - outer.left, inner.right - outer.left)
        return orient(made[rows, columns], matrix)

    def _converted(self, frame: Any, pixel_format: str, how: dict[str, int]) -> Any:
        made = self._reformatters[pixel_format].reformat(
            frame, format=pixel_format, interpolation=FLAGS[pixel_format], **how
        )
        return made.to_ndarray()

    def _how(self, frame: Any) -> dict[str, int]:
        how: dict[str, int] = {}
        if not self._is_square:
            how["width"], how["height"] = square(frame.width, frame.height, self._pixel_shape, self._max_pixels)
        return how

    def _make_matrix_known(self, frame: Any) -> None:
        if frame.colorspace not in _MATRICES:
            read_as = _BT2020 if frame.colorspace == _BT2020_CONSTANT else _BT601
            self._note(f"matrix {int(frame.colorspace)} of ITU-T H.273 (read as {read_as})")
            frame.colorspace = read_as

    def _light(self, frame: Any) -> tuple[Transfer, Gamut] | None:
        """How colours encode light; None for those of ordinary screens, and for those that we cannot map."""
        if frame.color_trc in _UNKNOWN_TRANSFERS:
            self._note(f"{_UNKNOWN_TRANSFERS[frame.color_trc]} light (shown as it is)")
            return None
        if frame.color_primaries in _UNKNOWN_GAMUTS:
            self._note(f"primaries of {_UNKNOWN_GAMUTS[frame.color_primaries]} (shown as they are)")
        gamut = _GAMUTS.get(frame.color_primaries)
        transfer = _TRANSFERS.get(frame.color_trc, "sdr" if gamut is not None else None)
        return None if transfer is None else (transfer, gamut or "bt2020")

    def _converter(self, profile: bytes | None) -> Convert | None:
        try:
            return None if profile is None else to_srgb(profile)
        except UnusableProfileError as error:
            self._note(f"a colour profile that cannot be used ({error})")
            return None

    def _note(self, what: str) -> None:
        self._notes.add(
            "colour_not_mapped", "visual", f"the picture's colours are of a kind that cannot be converted: {what}"
        )


def square(width: int, height: int, pixel_shape: Fraction, max_pixels: int) -> tuple[int, int]:
    """Size of a picture whose pixels are made square.

    The side that is too short is stretched, so that nothing is lost; if the picture then has too many pixels, the other
    side is shrunk instead.

    Args:
        width: Pixels in a row.
        height: Rows.
        pixel_shape: Width of a pixel by its height.
        max_pixels: Most pixels that the result may have.

    Returns:
        Width and height.
    """
    wide = pixel_shape > 1
    stretched = (round(width * pixel_shape), height) if wide else (width, round(height / pixel_shape))
    if stretched[0] * stretched[1] <= max_pixels:
        return stretched
    return (width, max(1, round(height / pixel_shape))) if wide else (max(1, round(width * pixel_shape)), height)


def _sane(pixel_shape: Fraction | None, notes: Notes) -> Fraction:
    if not pixel_shape or pixel_shape <= 0:  # FFmpeg says 0 for unknown
        return Fraction(1)
    if not Fraction(1, _MOST_STRETCHED) <= pixel_shape <= _MOST_STRETCHED:
        notes.add(
            "pixel_shape_ignored",
            "visual",
            f"the file announces pixels of {pixel_shape.numerator}:{pixel_shape.denominator}, at most "
            f"{_MOST_STRETCHED}:1 expected; they are taken as square",
        )
        return Fraction(1)
    return pixel_shape


@lru_cache(maxsize=64)
def _may_be_transparent(format_name: str) -> bool:
    pixel_format = av.VideoFormat(format_name)
    return pixel_format.has_palette or any(component.is_alpha for component in pixel_format.components)


def _on_black(pixels: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if alpha.min() == 255:
        return pixels
    blended = np.empty_like(pixels)
    for row in range(0, len(pixels), _ROWS):
        part = pixels[row : row + _ROWS].astype(np.uint16) * alpha[row : row + _ROWS, :, None]
        blended[row : row + _ROWS] = (part + 127) // 255
    return blended

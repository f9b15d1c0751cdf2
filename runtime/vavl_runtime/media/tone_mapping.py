"""Maps high dynamic range and wide gamut to the pictures of an ordinary screen: BT.709, BT.1886.

A table of our own, because FFmpeg's ``zscale`` is not in PyAV's wheels and libswscale takes seconds for each new
stream. Light is counted in units of 100 cd/m², the white of an ordinary screen.
"""

import math
from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Transfer = Literal["pq", "hlg", "sdr"]
Gamut = Literal["bt2020", "p3"]
Floats = NDArray[np.float32]

# To BT.709 in linear light: ITU-R BT.2407, and SMPTE EG 432-1 (Display P3).
_TO_BT709: dict[Gamut, Floats] = {
    "bt2020": np.array(
        [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32
    ),
    "p3": np.array([[1.2249, -0.2249, 0.0], [-0.0420, 1.0420, 0.0], [-0.0196, -0.0786, 1.0982]], np.float32),
}
_WHITE_CODE = 65_283  # what swscale gives for white of limited range, at any depth; an error of 2 % of light in PQ
_SCREEN_GAMMA = 2.4  # BT.1886
_HIGH_WHITE = 2.03  # white of a recording made as BT.2408 asks: 203 cd/m²
_MOST_LIGHT = 10.0  # what is brighter than 1,000 cd/m² is white
_SHOULDER = 0.75  # of white; up to there nothing is compressed
_ROWS = 64  # converted at once, so that a large picture needs little memory beside its own
_SAMPLES = 40_000  # pixels, evenly spread, that are looked at for the brightest ones
_STEP = 1.25  # the brightest pixels must grow by this factor to change the curve: coding alone lets white overshoot


class ToneMapper:
    """Converts the frames of one stream, in order.

    The white of a recording is not told, so it is taken from the brightest pixels so far. Where none is brighter than
    the white of an ordinary screen, that is white, which gives back a film for ordinary screens as it was. As soon as
    one is, white is at 203 cd/m² and highlights above it are compressed. The curve never goes back, so that the
    picture does not flicker.

    Args:
        transfer: How the values encode light.
        gamut: Their primaries.
    """

    def __init__(self, transfer: Transfer, gamut: Gamut = "bt2020") -> None:
        self._to_709 = _TO_BT709[gamut].T
        codes = np.minimum(np.arange(1 << 16) / _WHITE_CODE, 1)
        self._light = np.minimum(_DECODERS[transfer](codes), _MOST_LIGHT).astype(np.float32)
        self._peak = 1.0
        self._levels = _levels(self._peak)

    def __call__(self, codes: NDArray[np.uint16]) -> NDArray[np.uint8]:
        """Convert a frame.

        Args:
            codes: Full-range RGB with the primaries of the gamut, uint16, shape (H, W, 3).

        Returns:
            RGB for an ordinary screen, uint8, shape (H, W, 3).
        """
        self._look(codes)
        pixels = np.empty(codes.shape, np.uint8)
        for row in range(0, len(codes), _ROWS):
            light = self._to_bt709(codes[row : row + _ROWS])
            np.multiply(light, 1 / self._peak, out=light)
            np.clip(light, 0, 1, out=light)
            np.sqrt(light, out=light)  # as in `_levels`
            np.multiply(light, len(self._levels) - 1, out=light)
            np.take(self._levels, light.astype(np.uint16), out=pixels[row : row + _ROWS])
        return pixels

    def _to_bt709(self, codes: NDArray[np.uint16]) -> Floats:
        light: Floats = self._light[codes] @ self._to_709
        return light

    def _look(self, codes: NDArray[np.uint16]) -> None:
        """Take note of the brightest pixels; single ones may be noise."""
        step = max(1, math.isqrt(codes[..., 0].size // _SAMPLES))
        brightest = self._light[codes[::step, ::step]].max(2)
        peak = float(np.quantile(brightest, 0.999))
        if peak > _STEP * self._peak:
            self._peak = max(peak, _HIGH_WHITE)
            self._levels = _levels(self._peak)


def _levels(peak: float) -> NDArray[np.uint8]:
    """The 8-bit level for the light ``peak * (n / 65535) ** 2``: squared, as dark levels need finer steps."""
    white = min(peak, _HIGH_WHITE)
    light = peak / white * np.linspace(0, 1, 1 << 16) ** 2
    above = np.maximum(light - _SHOULDER, 0) / (1 - _SHOULDER)
    most = (peak / white - _SHOULDER) / (1 - _SHOULDER)
    # Slope 1 at the shoulder, 1 at the brightest; straight where nothing is brighter than white.
    compressed = _SHOULDER + (1 - _SHOULDER) * above / (1 + above * (1 - 1 / most))
    shown = np.where(light > _SHOULDER, compressed, light)
    levels: NDArray[np.uint8] = np.round(255 * shown ** (1 / _SCREEN_GAMMA)).astype(np.uint8)
    return levels


def _decode_pq(codes: NDArray[np.float64]) -> NDArray[np.float64]:
    """SMPTE ST 2084."""
    m1, m2 = 2610 / 16384, 2523 / 32
    c1, c2, c3 = 3424 / 4096, 2413 / 128, 2392 / 128
    power = codes ** (1 / m2)
    light: NDArray[np.float64] = 100 * (np.maximum(power - c1, 0) / (c2 - c3 * power)) ** (1 / m1)
    return light


def _decode_hlg(codes: NDArray[np.float64]) -> NDArray[np.float64]:
    """ARIB STD-B67 on a screen of 1,000 cd/m², whose gamma is taken for each channel alone, as FFmpeg's zscale does."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(codes <= 0.5, codes**2 / 3, (np.exp((codes - c) / a) + b) / 12)
    light: NDArray[np.float64] = 10 * scene**1.2
    return light


def _decode_sdr(codes: NDArray[np.float64]) -> NDArray[np.float64]:
    light: NDArray[np.float64] = codes**_SCREEN_GAMMA
    return light


_DECODERS: dict[Transfer, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    "pq": _decode_pq,
    "hlg": _decode_hlg,
    "sdr": _decode_sdr,
}

"""Converts pictures with a colour profile (ICC), such as photographs in Display P3 or Adobe RGB, to sRGB."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vavl_runtime.media.side_data import side_data

Pixels = NDArray[np.uint8]
Convert = Callable[[Pixels], Pixels]

_SAME = 2  # levels; profiles of sRGB differ by rounding, and pictures with one stay as they are
_STEPS = 9  # of each colour, to see whether a profile changes anything


class UnusableProfileError(Exception):
    """A profile that cannot be read, or that is not of RGB."""


def frame_profile(frame: Any) -> bytes | None:
    """The colour profile that FFmpeg gives with a frame; None if it gives none.

    Args:
        frame: PyAV's frame, from `vavl_runtime.media.side_data.readable`, which takes that of a PNG away.
    """
    data = side_data(frame).get("ICC_PROFILE")
    return None if data is None else bytes(data)


def png_profile(media: Path | bytes) -> bytes | None:
    """The colour profile of a PNG file.

    Args:
        media: The file's path, or its content.

    Returns:
        The profile; None if there is none, or if Pillow cannot read the file.
    """
    try:
        with Image.open(io.BytesIO(media) if isinstance(media, bytes) else media, formats=["PNG"]) as picture:
            profile: bytes | None = picture.info.get("icc_profile")
            return profile or None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):  # FFmpeg says what is wrong, if it is
        return None


def to_srgb(profile: bytes) -> Convert | None:
    """Make a converter of pictures.

    Args:
        profile: ICC profile of RGB.

    Returns:
        What makes of RGB in the colours of the profile, uint8, shape (H, W, 3), the same in those of sRGB; None if both
        are the same.

    Raises:
        UnusableProfileError: The profile is damaged, or not of RGB.
    """
    from PIL import ImageCms  # few pictures need it

    try:
        source, target = ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
        if source.profile.xcolor_space != "RGB ":
            raise UnusableProfileError(f"it is of {source.profile.xcolor_space.strip()}, not of RGB")
        transform = ImageCms.buildTransform(source, target, "RGB", "RGB")
    except (OSError, ValueError, ImageCms.PyCMSError) as error:  # ValueError: names that are no text
        raise UnusableProfileError(str(error)) from error

    def convert(pixels: Pixels) -> Pixels:
        converted = ImageCms.applyTransform(Image.fromarray(np.ascontiguousarray(pixels)), transform)
        assert converted is not None  # it is only where the image itself is changed
        return np.asarray(converted)

    levels = np.linspace(0, 255, _STEPS).round().astype(np.uint8)
    colours = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(1, -1, 3)
    change = np.abs(convert(colours).astype(int) - colours).max()
    return convert if change > _SAME else None

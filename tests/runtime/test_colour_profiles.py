"""Pictures with a colour profile come in the colours of an ordinary screen."""

import contextlib
import io
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageCms, features

from tests.runtime.made_pictures import blocks, levels_between, notes, pictures
from vavl_runtime.media.colour_profile import UnusableProfileError, to_srgb

MOST_LEVELS = 2  # in the mean; profiles count in 8 bits
# Red, green and blue of Display P3 on the white of profiles, D50.
DISPLAY_P3 = ((0.5151, 0.2412, -0.0011), (0.2919, 0.6922, 0.0419), (0.1572, 0.0666, 0.7841))
QUALITY = {".jpg": {"quality": 97, "subsampling": 0}, ".avif": {"quality": 100, "subsampling": "4:4:4"}}
WHITE = (0.9642, 1.0, 0.8249)


def display_p3() -> bytes:
    """A profile of Display P3 with a gamma of 2.2."""

    def fixed(*values: float) -> bytes:
        return struct.pack(f">{len(values)}i", *(round(65536 * value) for value in values))

    tags = {
        b"wtpt": b"XYZ \0\0\0\0" + fixed(*WHITE),
        **{
            name: b"XYZ \0\0\0\0" + fixed(*xyz)
            for name, xyz in zip((b"rXYZ", b"gXYZ", b"bXYZ"), DISPLAY_P3, strict=True)
        },
        **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), b"curv\0\0\0\0" + struct.pack(">IHxx", 1, round(256 * 2.2))),
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", 3) + b"P3\0" + bytes(89),
        b"cprt": b"text\0\0\0\0none",
    }
    at = 128 + 4 + 12 * len(tags)
    table, content = struct.pack(">I", len(tags)), b""
    for name, value in tags.items():
        table += name + struct.pack(">II", at + len(content), len(value))
        content += value + bytes(-len(value) % 4)
    head = struct.pack(">I4sI4s4s4s", at + len(content), b"none", 0x02400000, b"mntr", b"RGB ", b"XYZ ")
    head += bytes(12) + b"acsp" + bytes(28) + fixed(*WHITE)
    return head.ljust(128, b"\0") + table + content


def srgb() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def write(path: Path, pixels: NDArray[np.uint8], profile: bytes | None) -> Path:
    Image.fromarray(pixels).save(path, icc_profile=profile, **QUALITY.get(path.suffix, {}))
    return path


AVIF = pytest.param("avif", marks=pytest.mark.skipif(not features.check("avif"), reason="this Pillow writes no AVIF"))


@pytest.mark.parametrize("suffix", ["png", "jpg", AVIF])
def test_a_photograph_in_display_p3_looks_like_the_ordinary_original(suffix: str, tmp_path: Path) -> None:
    source, target = (ImageCms.ImageCmsProfile(io.BytesIO(profile)) for profile in (srgb(), display_p3()))
    wide = ImageCms.profileToProfile(Image.fromarray(blocks()), source, target)
    assert wide is not None
    assert levels_between(np.asarray(wide), blocks()) > 2 * MOST_LEVELS
    path = write(tmp_path / f"wide.{suffix}", np.asarray(wide), display_p3())
    assert levels_between(pictures(path)[0], blocks()) < MOST_LEVELS
    assert notes(path) == []


@pytest.mark.parametrize("suffix", ["png", "jpg", AVIF])
def test_a_profile_of_srgb_changes_nothing(suffix: str, tmp_path: Path) -> None:
    with_profile = write(tmp_path / f"with.{suffix}", blocks(), srgb())
    without = write(tmp_path / f"without.{suffix}", blocks(), None)
    assert np.array_equal(pictures(with_profile)[0], pictures(without)[0])


def test_a_profile_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    plain = pictures(write(tmp_path / "plain.png", blocks(), None))[0]
    for number, profile in enumerate((lab, display_p3()[:200], b"nonsense" * 40)):
        path = write(tmp_path / f"bad{number}.png", blocks(), profile)
        assert notes(path) == ["colour_not_mapped"]
        assert np.array_equal(pictures(path)[0], plain)


@given(
    changes=st.lists(st.tuples(st.integers(0, len(display_p3()) - 1), st.binary(min_size=1, max_size=4)), max_size=8)
)
def test_a_damaged_profile_is_used_or_refused(changes: list[tuple[int, bytes]]) -> None:
    profile = bytearray(display_p3())
    for place, value in changes:
        profile[place : place + len(value)] = value
    with contextlib.suppress(UnusableProfileError):
        convert = to_srgb(bytes(profile))
        assert convert is None or convert(blocks()).shape == blocks().shape

"""Make films whose pictures are known exactly: lossless, with the flags that a test wants."""

import struct
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from vavl_runtime.bundle.manifest import Limits
from vavl_runtime.media import open_source


def blocks(width: int = 64, height: int = 48) -> NDArray[np.uint8]:
    """Blocks of 16 x 16 pixels of random colours: no two orientations of it are alike."""
    colours = np.random.default_rng(3).integers(30, 225, (-(-height // 16), -(-width // 16), 3), dtype=np.uint8)
    return np.repeat(np.repeat(colours, 16, 0), 16, 1)[:height, :width]


def write_frames(
    path: Path, frames: Iterable[Any], *, codec: str = "ffv1", pixel_format: str = "bgr0", pixel_shape: str = "1:1"
) -> Path:
    """Encode PyAV's frames, or RGB pictures, at 25 a second."""
    with av.open(str(path), "w") as output:
        stream: Any = None
        for number, item in enumerate(frames):
            frame = item if isinstance(item, av.VideoFrame) else av.VideoFrame.from_ndarray(item, format="rgb24")
            if stream is None:
                options = {"crf": "1", "preset": "ultrafast"} if codec == "libx264" else {}
                stream = output.add_stream(codec, rate=25, options=options)
                stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, pixel_format
                stream.codec_context.sample_aspect_ratio = Fraction(*map(int, pixel_shape.split(":")))
                for name in ("colorspace", "color_range", "color_trc", "color_primaries"):
                    setattr(stream.codec_context, name, getattr(frame, name))
            frame.pts, frame.time_base = number, Fraction(1, 25)
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
    return path


def flat_frame(
    values: tuple[int, int, int], pixel_format: str, *, matrix: int, full: bool, size: tuple[int, int] = (32, 32)
) -> av.VideoFrame:
    """A frame of one colour, given as it is stored in its three planes."""
    frame = av.VideoFrame(*size, pixel_format)
    for plane, value in zip(frame.planes, values, strict=True):
        kind = np.dtype("<u2" if "10" in pixel_format else "u1")
        plane.update(np.full(plane.buffer_size // kind.itemsize, value, kind).tobytes())
    frame.colorspace, frame.color_range = matrix, 2 if full else 1
    return frame


def set_display_matrix(path: Path, linear: tuple[int, int, int, int]) -> Path:
    """Overwrite the display matrix of the only track of an mp4 file; ``linear`` is its part a, b, c, d."""
    content = bytearray(path.read_bytes())
    place = content.index(b"tkhd") + 4 + 40  # after the type: version 0, 40 bytes, then nine numbers
    a, b, c, d = (value << 16 for value in linear)
    content[place : place + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    return path


def pictures(path: Path) -> list[NDArray[np.uint8]]:
    """What the runtime makes of the file's pictures."""
    return [frame.pixels for frame in open_source(path, Limits()).frames()]


def notes(path: Path) -> list[str]:
    """Kinds of the notes on the file's pictures."""
    source = open_source(path, Limits())
    for _ in source.frames():
        pass
    return [note.kind for note in source.notes()]


def levels_between(found: NDArray[Any], expected: NDArray[Any]) -> float:
    """Mean difference of two pictures, levels."""
    assert found.shape == expected.shape
    return float(np.abs(found.astype(np.float64) - expected).mean())

"""Write small media files by hand: sound, pictures and films, sane or not."""

import io
import struct
import zlib
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

RATE = 16_000


def tone(seconds: float = 1.0) -> NDArray[np.float32]:
    return np.sin(np.arange(round(RATE * seconds)) * (2 * np.pi * 220 / RATE)).astype(np.float32) * np.float32(0.4)


def pcm16(samples: NDArray[np.float32]) -> bytes:
    return (samples * 32767).astype("<i2").tobytes()


def write_wav(
    path: Path, data: bytes, *, rate: int = RATE, code: int = 1, bits: int = 16, claimed: int | None = None
) -> Path:
    """Write a mono wav by hand; ``claimed`` is the number of data bytes that its header announces."""
    size, align = len(data) if claimed is None else claimed, bits // 8
    form = struct.pack("<IHHIIHH", 16, code, 1, rate, (rate * align) % 2**32, align, bits)
    header = b"RIFF" + struct.pack("<I", 36 + size) + b"WAVEfmt " + form + b"data" + struct.pack("<I", size)
    path.write_bytes(header + data)
    return path


def write_png(path: Path, width: int, height: int, *, bits: int, colour: int, rows: int | None = None) -> Path:
    """Write a black PNG by hand, row by row; with ``rows`` it holds fewer than it announces."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    row = bytes(1 + width * bits * {0: 1, 2: 3}[colour] // 8)
    packer = zlib.compressobj()
    data = b"".join(packer.compress(row) for _ in range(height if rows is None else rows)) + packer.flush()
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b""))
    return path


def jpeg(pixels: NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=95)
    return file.getvalue()


def write_matroska(
    path: Path,
    pictures: Sequence[bytes] | None,
    sound: NDArray[np.float32] | None,
    *,
    size: tuple[int, int] = (64, 64),
    times_ms: Sequence[int] | None = None,
) -> Path:
    """Write packets as they are: JPEG pictures at 25 a second and float sound, either of which may be nonsense."""
    with av.open(str(path), "w", format="matroska") as container:
        packets: list[tuple[int, av.Packet]] = []
        if pictures is not None:
            stream: Any = container.add_stream("mjpeg", rate=25)
            stream.width, stream.height = size
            stream.pix_fmt = "yuvj420p"
            times = times_ms or range(0, 40 * len(pictures), 40)
            packets += [(ms, _packet(stream, data, ms)) for ms, data in zip(times, pictures, strict=True)]
        if sound is not None:
            stream = container.add_stream("pcm_f32le", rate=RATE, layout="mono")
            for start in range(0, len(sound), 1600):
                part = sound[start : start + 1600].astype("<f4").tobytes()
                packets.append((start * 1000 // RATE, _packet(stream, part, start * 1000 // RATE)))
        container.start_encoding()
        for _, packet in sorted(packets, key=lambda item: item[0]):
            container.mux(packet)
    return path


def _packet(stream: Any, data: bytes, time_ms: int) -> av.Packet:
    packet = av.Packet(data)
    packet.stream = stream
    packet.time_base = Fraction(1, 1000)
    packet.pts = packet.dts = time_ms
    packet.is_keyframe = True
    return packet


def write_film(path: Path, codec: str = "mpeg4", frames: int = 25) -> Path:
    """Encode noise, 64 x 64, and a tone."""
    noise = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        video: Any = container.add_stream(codec, rate=25)
        video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
        audio: Any = container.add_stream("aac", rate=RATE, layout="mono")
        for _ in range(frames):
            pixels = noise.integers(0, 255, (64, 64, 3), dtype=np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(video.encode(None))
        samples = tone(frames / 25)
        for start in range(0, len(samples), 1024):
            frame = av.AudioFrame.from_ndarray(samples[None, start : start + 1024], format="fltp", layout="mono")
            frame.sample_rate, frame.pts = RATE, start
            container.mux(audio.encode(frame))
        container.mux(audio.encode(None))
    return path


def face_pictures(count: int = 5) -> list[bytes]:
    """JPEGs of a real face, 256 x 256, from the pictures that scikit-image carries."""
    data = pytest.importorskip("skimage.data", reason="scikit-image carries the picture of a face")
    return [jpeg(np.ascontiguousarray(data.astronaut()[:256, 100:356]))] * count


def film_of_a_face(path: Path, pictures: Sequence[bytes] | None, sound: NDArray[np.float32] | None) -> Path:
    return write_matroska(path, pictures, sound, size=(256, 256))

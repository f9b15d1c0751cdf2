"""Clips that cannot be answered: how each is made, its exception, and what the message says."""

import math
import os
import struct
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np

from tests.runtime.made_media import jpeg, pcm16, tone, write_film, write_matroska, write_png, write_wav
from vavl_runtime.errors import (
    DamagedMediaError,
    EmptyFileError,
    EmptyStreamError,
    InputError,
    NoStreamsError,
    NotAFileError,
    NotFoundError,
    OversizedMediaError,
    UnreadableFileError,
    UnsupportedMediaError,
)

Maker = Callable[[Path], Path]


def missing(folder: Path) -> Path:
    return folder / "missing.mp4"


def below_a_file(folder: Path) -> Path:
    (folder / "file").write_bytes(b"x")
    return folder / "file" / "clip.mp4"


def empty_file(folder: Path) -> Path:
    (folder / "empty.mp4").touch()
    return folder / "empty.mp4"


def fifo(folder: Path) -> Path:
    os.mkfifo(folder / "pipe.mp4")
    return folder / "pipe.mp4"


def text_file(folder: Path) -> Path:
    (folder / "text.mp4").write_text("This is not a film.\n" * 100)
    return folder / "text.mp4"


def subtitles(folder: Path) -> Path:
    (folder / "talk.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nHello.\n\n")
    return folder / "talk.srt"


def subtitles_in_matroska(folder: Path) -> Path:
    path = folder / "talk.mkv"
    with av.open(str(subtitles(folder))) as source, av.open(str(path), "w") as container:
        stream = container.add_stream_from_template(source.streams.subtitles[0])
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = stream
                container.mux(packet)
    return path


def half_mp4(folder: Path) -> Path:
    """An mp4 keeps its table at the end, so half of it is no film at all."""
    path = write_film(folder / "half.mp4")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def wav_with(value: float) -> Maker:
    def make(folder: Path) -> Path:
        samples = tone()
        samples[8000:8010] = value
        return write_wav(folder / "float.wav", samples.astype("<f4").tobytes(), code=3, bits=32)

    return make


def wav_without_samples(folder: Path) -> Path:
    return write_wav(folder / "none.wav", b"")


def half_a_header(folder: Path) -> Path:
    path = write_wav(folder / "half.wav", b"")
    path.write_bytes(path.read_bytes()[:30])
    return path


def wav_at(rate: int) -> Maker:
    return lambda folder: write_wav(folder / "rate.wav", pcm16(tone()), rate=rate)


def large_png(folder: Path) -> Path:
    """Complete: 16000 x 16000 black or white pixels, in about 30 kB."""
    return write_png(folder / "large.png", 16_000, 16_000, bits=1, colour=0)


def large_y4m(folder: Path) -> Path:
    (folder / "large.y4m").write_bytes(b"YUV4MPEG2 W16000 H16000 F25:1 C420jpeg\nFRAME\n" + bytes(1000))
    return folder / "large.y4m"


def video_without_frames(folder: Path) -> Path:
    (folder / "none.y4m").write_bytes(b"YUV4MPEG2 W64 H64 F25:1 C420jpeg\n")
    return folder / "none.y4m"


def absurd_packets(folder: Path) -> Path:
    """Pictures too large to probe, whose packets are too large to be read."""
    header = struct.pack("<4sHH4sHHIIII", b"DKIF", 0, 32, b"VP80", 9024, 38398, 25, 1, 1, 0)
    (folder / "absurd.ivf").write_bytes(header + struct.pack("<IQ", 0xFFFFFFFF, 0) + b"\0\0\0\xc0")
    return folder / "absurd.ivf"


def garbage_pictures(folder: Path) -> Path:
    good = jpeg(np.zeros((64, 64, 3), np.uint8))
    return write_matroska(folder / "garbage.mkv", [good, good, b"\x00" * 500, good], None)


def both_broken(folder: Path) -> Path:
    sound = tone()
    sound[100] = np.nan
    return write_matroska(folder / "both.mkv", [b"\x00" * 500] * 3, sound)


BAD: dict[str, tuple[Maker, type[InputError], str]] = {
    "missing": (missing, NotFoundError, "no such file"),
    "below_a_file": (below_a_file, NotFoundError, "no such file"),
    "empty_file": (empty_file, EmptyFileError, r"empty file \(0 bytes\)"),
    "fifo": (fifo, NotAFileError, "not a regular file; expected a media file"),
    "dev_zero": (lambda _: Path("/dev/zero"), NotAFileError, "not a regular file; expected a media file"),
    "dev_null": (lambda _: Path("/dev/null"), NotAFileError, "not a regular file; expected a media file"),
    "long_name": (lambda folder: folder / ("x" * 300 + ".mp4"), UnreadableFileError, "cannot be read"),
    "text_file": (text_file, UnsupportedMediaError, r"not a media file that can be opened .*; expected a video"),
    "half_mp4": (half_mp4, UnsupportedMediaError, r"not a media file that can be opened .*; expected a video"),
    "half_a_header": (half_a_header, UnsupportedMediaError, "not a media file that can be opened"),
    "subtitles": (subtitles, UnsupportedMediaError, "not a media file that can be opened"),
    "subtitles_in_matroska": (subtitles_in_matroska, NoStreamsError, "neither sound nor picture"),
    "nan_sound": (wav_with(math.nan), DamagedMediaError, "sound holds NaN, infinite or absurdly large samples"),
    "infinite_sound": (wav_with(math.inf), DamagedMediaError, "sound holds NaN, infinite or absurdly large samples"),
    "no_samples": (wav_without_samples, EmptyStreamError, "announces sound but nothing"),
    "no_frames": (video_without_frames, EmptyStreamError, "announces picture but nothing"),
    "absurd_packets": (absurd_packets, EmptyStreamError, "announces picture but holds no packet of it"),
    "garbage_pictures": (
        garbage_pictures,
        DamagedMediaError,
        "picture breaks: 1 of 4 packets .*, at most 10% may be lost",
    ),
    "rate_1": (wav_at(1), OversizedMediaError, "sound at 1 Hz, expected 4000 to 768000 Hz"),
    "rate_3999": (wav_at(3_999), OversizedMediaError, "sound at 3999 Hz, expected 4000 to 768000 Hz"),
    "rate_1_million": (wav_at(1_000_000), OversizedMediaError, "sound at 1000000 Hz, expected 4000 to 768000 Hz"),
    "large_png": (large_png, OversizedMediaError, "frames .*at most 40 million pixels expected"),
    "large_y4m": (large_y4m, OversizedMediaError, "frames of 16000 x 16000, at most 40 million pixels expected"),
    "both_broken": (both_broken, DamagedMediaError, "sound holds NaN"),
}

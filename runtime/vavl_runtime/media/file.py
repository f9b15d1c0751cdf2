"""Media files, decoded with PyAV, which carries its own FFmpeg: nothing to install on the system.

Sound and picture are read through two containers, so neither waits in memory for the other, however the file
interleaves them.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.error import FFmpegError

from vavl_runtime.errors import (
    DamagedMediaError,
    EmptyFileError,
    EmptyStreamError,
    NoStreamsError,
    NotAFileError,
    NotFoundError,
    OversizedMediaError,
    UnreadableFileError,
    UnsupportedMediaError,
)
from vavl_runtime.manifest import Limits
from vavl_runtime.media.arrays import MAX_AMPLITUDE
from vavl_runtime.media.source import SAMPLE_RATE, Frame, SoundBlock

SAMPLE_RATES = range(4_000, 768_001)
REMEDY = "re-encode it with ffmpeg, or leave this modality out"

# No log callback at all: one that takes the interpreter lock dead-locks with decoder threads that are being freed.
av.logging.set_level(None)


class FileSource:
    """A media file as a `Source`.

    Args:
        path: The file.
        limits: Bounds on frame size.

    Raises:
        InputError: The file cannot be opened; the subclass says why.
    """

    def __init__(self, path: Path, limits: Limits) -> None:
        self.name = os.fspath(path)
        self._path = path
        self._limits = limits
        _check_file(path)
        with self._open() as container:
            audio, video = _audio_stream(container), _video_stream(container)
            self.has_audio = audio is not None
            self.has_video = video is not None
            if not self.has_audio and not self.has_video:
                raise NoStreamsError(f"{path}: holds neither sound nor picture; is it the file you meant?")
            starts = [float(s.start_time * s.time_base) for s in (audio, video) if s is not None and s.start_time]
            self._start_s = min(starts) if len(starts) == self.has_audio + self.has_video else 0.0

    def sound(self) -> Iterator[SoundBlock]:
        """Decode the first sound stream to mono 16 kHz."""
        with self._open() as container:
            stream = _audio_stream(container)
            rate = stream.rate or 0
            if rate not in SAMPLE_RATES:
                raise OversizedMediaError(
                    f"{self._path}: sound at {rate} Hz, expected {SAMPLE_RATES[0]} to {SAMPLE_RATES[-1]} Hz; {REMEDY}"
                )
            resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)
            position: float | None = None
            done = 0
            for frame in self._decode(container, stream, "sound"):
                if position is None:
                    position = max(0.0, (frame.time or self._start_s) - self._start_s)
                frame.pts = None  # sample times are counted, so a broken time stamp cannot tear the sound
                for block in self._resample(resampler, frame, position, done):
                    done += len(block.samples)
                    yield block
            for block in self._resample(resampler, None, position or 0.0, done):
                done += len(block.samples)
                yield block
            if done == 0:
                raise EmptyStreamError(f"{self._path}: announces sound but holds no decodable sample; {REMEDY}")
            self._check_complete(container, stream, done / SAMPLE_RATE, "sound")

    def _resample(self, resampler: Any, frame: Any, start_s: float, done: int) -> Iterator[SoundBlock]:
        try:
            resampled = resampler.resample(frame)
        except (FFmpegError, ValueError) as error:
            raise DamagedMediaError(f"{self._path}: sound cannot be resampled ({error}); {REMEDY}") from error
        for part in resampled:
            samples = part.to_ndarray().reshape(-1).astype(np.float32, copy=False)
            if not (np.abs(samples) <= MAX_AMPLITUDE).all():
                raise DamagedMediaError(f"{self._path}: sound holds NaN, infinite or absurdly large samples; {REMEDY}")
            if samples.size:
                yield SoundBlock(start_s + done / SAMPLE_RATE, samples)
                done += samples.size

    def frames(self) -> Iterator[Frame]:
        """Decode the first picture stream that is no cover art, rotation applied."""
        with self._open() as container:
            stream = _video_stream(container)
            self._check_size(stream.codec_context.width, stream.codec_context.height)
            stream.codec_context.options = {"max_pixels": str(self._limits.max_frame_pixels)}
            stream.thread_type = "AUTO"
            step = 1.0 / float(stream.average_rate or 25)
            time_s = -step
            for frame in self._decode(container, stream, "picture"):
                self._check_size(frame.width, frame.height)
                stamp = time_s + step if frame.time is None else frame.time - self._start_s
                time_s = max(time_s, stamp, 0.0)  # time stamps out of order must not turn time back
                try:
                    pixels = frame.to_ndarray(format="rgb24")
                except (FFmpegError, ValueError) as error:
                    raise DamagedMediaError(f"{self._path}: picture cannot be converted ({error}); {REMEDY}") from error
                yield Frame(time_s, _rotate(pixels, frame.rotation))
            if time_s < 0:
                raise EmptyStreamError(f"{self._path}: announces a picture but holds no decodable frame; {REMEDY}")
            self._check_complete(container, stream, time_s + step, "picture")

    def _open(self) -> Any:
        try:
            # Opening probes the streams, which decodes a frame: the bound must hold from here on.
            options = {"max_pixels": str(self._limits.max_frame_pixels)}
            return av.open(os.fspath(self._path), mode="r", metadata_errors="ignore", options=options)
        except (FFmpegError, ValueError) as error:
            raise UnsupportedMediaError(
                f"{self._path}: not a media file that can be opened ({_reason(error)}); "
                "expected a video or sound file such as mp4, mov, mkv, webm, wav, flac, mp3"
            ) from error

    def _decode(self, container: Any, stream: Any, what: str) -> Iterator[Any]:
        count = 0
        try:
            for frame in container.decode(stream):
                yield frame
                count += 1
        except FFmpegError as error:
            raise DamagedMediaError(
                f"{self._path}: {what} breaks after {count} decoded frames ({_reason(error)}); {REMEDY}"
            ) from error

    def _check_complete(self, container: Any, stream: Any, found_s: float, what: str) -> None:
        """Refuse a stream that stops well before its container says: FFmpeg calls a cut file simply ended."""
        announced_s = float(stream.duration * stream.time_base) if stream.duration else 0.0
        if not announced_s and len(container.streams) == 1 and container.duration:
            announced_s = container.duration / av.time_base
        if found_s < 0.9 * announced_s - 0.25:
            raise DamagedMediaError(
                f"{self._path}: {what} ends after {found_s:.2f} of {announced_s:.2f} s, the file is cut short; {REMEDY}"
            )

    def _check_size(self, width: int, height: int) -> None:
        if not 0 < width * height <= self._limits.max_frame_pixels:  # FFmpeg gives 0 x 0 for what it refused to probe
            size = f"of {width} x {height}" if width * height else "of unknown size or too large to probe"
            raise OversizedMediaError(
                f"{self._path}: frames {size}, at most {self._limits.max_frame_pixels / 1e6:g} million pixels "
                "expected; scale the picture down"
            )


def _check_file(path: Path) -> None:
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFoundError(f"{path}: no such file") from error
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        raise UnreadableFileError(f"{path}: cannot be read ({error})") from error
    if not stat.S_ISREG(status.st_mode):
        raise NotAFileError(f"{path}: not a regular file; expected a media file")
    if status.st_size == 0:
        raise EmptyFileError(f"{path}: empty file (0 bytes); was it copied completely?")
    if not os.access(path, os.R_OK):
        raise UnreadableFileError(f"{path}: no permission to read it")


def _audio_stream(container: Any) -> Any:
    return next((s for s in container.streams.audio if s.codec_context is not None), None)


def _video_stream(container: Any) -> Any:
    def is_picture(stream: Any) -> bool:
        cover = bool(stream.disposition & av.stream.Disposition.attached_pic)
        return stream.codec_context is not None and not cover

    return next(filter(is_picture, container.streams.video), None)


def _rotate(pixels: Any, degrees: int) -> Any:
    """Undo the display matrix: FFmpeg gives the counter-clockwise angle that playing asks for."""
    turns = round(degrees / 90) % 4
    return np.ascontiguousarray(np.rot90(pixels, turns)) if turns else pixels


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__

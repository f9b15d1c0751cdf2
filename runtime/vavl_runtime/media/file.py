"""Media files, decoded with PyAV, which carries its own FFmpeg: nothing to install on the system.

Sound and picture are read through two containers, so neither waits in memory for the other, however the file
interleaves them.
"""

import contextlib
import io
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.error import FFmpegError

from vavl_runtime.bundle.manifest import Limits
from vavl_runtime.devices.cpu import usable_cores
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
from vavl_runtime.media.source import MAX_AMPLITUDE, SAMPLE_RATE, Frame, SoundBlock
from vavl_runtime.timing import StageTimer

# PyAV before 19 refuses tags that are not UTF-8 unless told otherwise; later versions accept them and have no option.
_TOLERANT = {"metadata_errors": "ignore"} if int(av.__version__.split(".")[0]) < 19 else {}
SAMPLE_RATES = range(4_000, 768_001)
GAP_S = 0.2  # a longer jump of the time stamps is a gap in the sound
REMEDY = "re-encode it with ffmpeg, or leave this modality out"

# No log callback: one that takes the interpreter lock dead-locks with decoder threads that are being freed.
av.logging.set_level(None)


class FileSource:
    """A media file as a `Source`.

    Args:
        media: The file's path, or its content.
        limits: Bounds on frame size.
        timer: Where resampling is booked.
        name: How to call the clip in results and messages; by default its path.

    Raises:
        InputError: The file cannot be opened; the subclass says why.
    """

    def __init__(
        self, media: Path | bytes, limits: Limits, timer: StageTimer | None = None, *, name: str | None = None
    ) -> None:
        self._timer = timer or StageTimer()
        self.name = name or (os.fspath(media) if isinstance(media, Path) else "bytes")
        self._media = media
        self._limits = limits
        if isinstance(media, Path):
            _check_file(media)
        elif not media:
            raise EmptyFileError(f"{self.name}: empty (0 bytes); was it read completely?")
        with self._open() as container:
            audio, video = _audio_stream(container), _video_stream(container)
            self.has_audio = audio is not None
            self.has_video = video is not None
            if not self.has_audio and not self.has_video:
                raise NoStreamsError(f"{self.name}: holds neither sound nor picture; is it the file you meant?")
            starts = [float(s.start_time * s.time_base) for s in (audio, video) if s is not None and s.start_time]
            self._start_s = min(starts) if len(starts) == self.has_audio + self.has_video else 0.0

    def sound(self) -> Iterator[SoundBlock]:
        """Decode the first sound stream to mono 16 kHz; gaps in its time stamps stay gaps in the blocks' times."""
        with self._open() as container:
            stream = _audio_stream(container)
            rate = stream.rate or 0
            if rate not in SAMPLE_RATES:
                raise OversizedMediaError(
                    f"{self.name}: sound at {rate} Hz, expected {SAMPLE_RATES[0]} to {SAMPLE_RATES[-1]} Hz; {REMEDY}"
                )
            segment: _SoundSegment | None = None
            for frame in self._decode(container, stream, "sound"):
                time_s = None if frame.time is None else max(0.0, frame.time - self._start_s)
                if segment is None:
                    segment = _SoundSegment(self.name, time_s or 0.0, self._timer)
                elif time_s is not None and time_s - segment.end_s > GAP_S:
                    yield from segment.flush()
                    segment = _SoundSegment(self.name, time_s, self._timer)
                yield from segment.add(frame)
            if segment is not None:
                yield from segment.flush()

    def frames(self) -> Iterator[Frame]:
        """Decode the first picture stream other than cover art, rotated as it is shown."""
        with self._open() as container:
            stream = _video_stream(container)
            self._check_size(stream.codec_context.width, stream.codec_context.height)
            stream.codec_context.options = {"max_pixels": str(self._limits.max_frame_pixels)}
            stream.thread_type = "AUTO"
            # FFmpeg does not respect CPU quotas, and each of its threads keeps a frame.
            stream.codec_context.thread_count = usable_cores()
            step = 1.0 / float(stream.average_rate or 25)
            time_s = -step
            for frame in self._decode(container, stream, "picture"):
                self._check_size(frame.width, frame.height)
                stamp = time_s + step if frame.time is None else frame.time - self._start_s
                time_s = max(time_s, stamp, 0.0)  # out-of-order time stamps must not turn time back
                try:
                    pixels = frame.to_ndarray(format="rgb24")
                except (FFmpegError, ValueError) as error:
                    raise DamagedMediaError(f"{self.name}: picture cannot be converted ({error}); {REMEDY}") from error
                shown_s = float(frame.duration * frame.time_base) if frame.duration else step
                yield Frame(time_s, _rotate(pixels, frame.rotation), shown_s)

    @contextlib.contextmanager
    def _open(self) -> Iterator[Any]:
        # Opening a file decodes a frame to probe the streams, so the bound on the frame size must be set here already.
        options = {"max_pixels": str(self._limits.max_frame_pixels)}
        with contextlib.ExitStack() as stack:
            place: Any
            if isinstance(self._media, bytes):
                place = io.BytesIO(self._media)
            else:
                # A colon would be read as a protocol, a percent sign as a numbered sequence of pictures.
                place = f"file:{self._media.absolute()}"
                if "%" in place:
                    place = stack.enter_context(self._media.open("rb"))
            try:
                container = stack.enter_context(av.open(place, mode="r", options=options, **_TOLERANT))
            except (FFmpegError, ValueError) as error:
                raise UnsupportedMediaError(
                    f"{self.name}: not a media file that can be opened ({_reason(error)}); "
                    "expected a video or sound file such as mp4, mov, mkv, webm, wav, flac, mp3"
                ) from error
            yield container

    def _decode(self, container: Any, stream: Any, what: str) -> Iterator[Any]:
        """Decode a stream to its end, and check the length: FFmpeg reports a truncated file as simply ended."""
        count = 0
        end_s = 0.0
        try:
            for packet in container.demux(stream):
                if packet.pts is not None:
                    end_s = max(end_s, float((packet.pts + (packet.duration or 0)) * packet.time_base))
                for frame in packet.decode():
                    yield frame
                    count += 1
        except FFmpegError as error:
            raise DamagedMediaError(
                f"{self.name}: {what} breaks after {count} decoded frames ({_reason(error)}); {REMEDY}"
            ) from error
        if count == 0:
            raise EmptyStreamError(f"{self.name}: announces {what} but nothing in it can be decoded; {REMEDY}")
        start_s, announced_s = _announced(container, stream)
        if end_s - start_s < 0.9 * announced_s - 0.25:
            raise DamagedMediaError(
                f"{self.name}: {what} ends after {end_s - start_s:.2f} of {announced_s:.2f} s, the file is cut short; "
                f"{REMEDY}"
            )

    def _check_size(self, width: int, height: int) -> None:
        if not 0 < width * height <= self._limits.max_frame_pixels:  # FFmpeg gives 0 x 0 for what it refused to probe
            size = f"of {width} x {height}" if width * height else "of unknown size or too large to probe"
            raise OversizedMediaError(
                f"{self.name}: frames {size}, at most {self._limits.max_frame_pixels / 1e6:g} million pixels "
                "expected; scale the picture down"
            )


class _SoundSegment:
    """Sound without a gap: resampled, its time counted from its first sample."""

    def __init__(self, name: str, start_s: float, timer: StageTimer) -> None:
        self._name = name
        self._timer = timer
        self._start_s = start_s
        self._resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)
        self._given = 0
        self.end_s = start_s

    def add(self, frame: Any) -> Iterator[SoundBlock]:
        """Take a decoded frame."""
        self.end_s += frame.samples / frame.sample_rate
        frame.pts = None  # count samples within a segment: jitter of the time stamps must not split the sound
        yield from self._resample(frame)

    def flush(self) -> Iterator[SoundBlock]:
        """Give what the resampler still holds."""
        yield from self._resample(None)

    def _resample(self, frame: Any) -> Iterator[SoundBlock]:
        try:
            with self._timer.stage("resample"):
                resampled = self._resampler.resample(frame)
        except (FFmpegError, ValueError) as error:
            raise DamagedMediaError(f"{self._name}: sound cannot be resampled ({error}); {REMEDY}") from error
        for part in resampled:
            samples = part.to_ndarray().reshape(-1).astype(np.float32, copy=False)
            if not (np.abs(samples) <= MAX_AMPLITUDE).all():
                raise DamagedMediaError(f"{self._name}: sound holds NaN, infinite or absurdly large samples; {REMEDY}")
            if samples.size:
                yield SoundBlock(self._start_s + self._given / SAMPLE_RATE, samples)
                self._given += samples.size


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


def _announced(container: Any, stream: Any) -> tuple[float, float]:
    """Start and length of a stream by its container, seconds; length 0 if the container does not say."""
    start_s = float(stream.start_time * stream.time_base) if stream.start_time else 0.0
    if stream.duration:
        return start_s, float(stream.duration * stream.time_base)
    if len(container.streams) == 1 and container.duration:
        return start_s, container.duration / av.time_base
    return start_s, 0.0


def _rotate(pixels: Any, degrees: int) -> Any:
    """Undo the display matrix: FFmpeg gives the counter-clockwise angle that playing asks for."""
    turns = round(degrees / 90) % 4
    return np.ascontiguousarray(np.rot90(pixels, turns)) if turns else pixels


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__

"""Media files, decoded with PyAV, which carries its own FFmpeg: nothing to install on the system.

Sound and picture are read through two containers, so neither waits in memory for the other, however the file
interleaves them.
"""

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from av.codec.context import Flags
from av.error import FFmpegError
from numpy.typing import NDArray

from vavl_runtime.bundle.manifest import Limits
from vavl_runtime.devices.cpu import usable_cores
from vavl_runtime.errors import (
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
from vavl_runtime.media.colour_profile import frame_profile, png_profile
from vavl_runtime.media.containers import open_container
from vavl_runtime.media.decoded_frame import DecodedFrame
from vavl_runtime.media.decoder_threads import threads_for
from vavl_runtime.media.deinterlacing import deinterlaced
from vavl_runtime.media.limits import ClipLimits
from vavl_runtime.media.loudness import is_heard
from vavl_runtime.media.missing import explain_missing
from vavl_runtime.media.named_stream import named_stream
from vavl_runtime.media.packets import REMEDY, PacketReader, damage, reason_of
from vavl_runtime.media.pictures import SINGLE_PICTURES, PictureMaker
from vavl_runtime.media.promises import missing_share
from vavl_runtime.media.side_data import readable
from vavl_runtime.media.sound import check_rate, read_sound
from vavl_runtime.media.source import SAMPLE_RATE, Frame, SoundBlock
from vavl_runtime.media.streams import (
    NAMED,
    choose_picture,
    choose_sound,
    has_tiles,
    note_choice,
    picture_streams,
    sound_streams,
)
from vavl_runtime.notes import Note, Notes
from vavl_runtime.stream_numbers import StreamNumbers
from vavl_runtime.timing import StageTimer


class FileSource:
    """A media file as a `Source`.

    Args:
        media: The file's path, or its content.
        limits: Largest frame and silence level, as the bundle says.
        timer: Where resampling and conversion of frames are booked.
        name: How to call the clip in results and messages; by default its path.
        streams: The streams to read, by their numbers; what is None is left to the rules.
        clip_limits: Bounds on what the file may ask for; the defaults of `ClipLimits` if None.
        decoder_threads: Threads that decode pictures, at most; all cores this process may use by default.

    Raises:
        InputError: The file cannot be opened; the subclass says why.
    """

    def __init__(
        self,
        media: Path | bytes,
        limits: Limits,
        timer: StageTimer | None = None,
        *,
        name: str | None = None,
        streams: StreamNumbers | None = None,
        clip_limits: ClipLimits | None = None,
        decoder_threads: int | None = None,
    ) -> None:
        self._timer = timer or StageTimer()
        self.name = name or (os.fspath(media) if isinstance(media, Path) else "bytes")
        self._media = media
        self._silence_dbfs = limits.silence_dbfs
        self._clip_limits = clip_limits or ClipLimits()
        self._max_pixels = self._clip_limits.pixels or limits.max_frame_pixels
        self._decoder_threads = decoder_threads
        self._notes = Notes()
        self._named = streams or StreamNumbers()
        self._sound_read: int | None = None
        self._picture_read: int | None = None
        if isinstance(media, Path):
            _check_file(media)
        elif not media:
            raise EmptyFileError(f"{self.name}: empty (0 bytes); was it read completely?")
        with self._open() as container:
            self._check_streams(len(container.streams))
            sounds, pictures = sound_streams(container), picture_streams(container)
            self._sounds = [stream.index for stream in sounds]
            audio = video = None
            if self._named.audio is not None:
                audio = named_stream(container, "audio", self._named.audio, self.name)
            elif sounds:
                audio = sounds[0]
            if self._named.visual is not None:
                video = named_stream(container, "visual", self._named.visual, self.name)
            elif pictures:
                video = choose_picture(container, pictures)
            self.has_audio = audio is not None
            self.has_video = video is not None
            if not self.has_audio and not self.has_video:
                self._refuse(container)
            starts = [float(s.start_time * s.time_base) for s in (audio, video) if s is not None and s.start_time]
            self._start_s = min(starts) if len(starts) == self.has_audio + self.has_video else 0.0
            self._pictures = [stream.index for stream in pictures]
            self._picture = video.index if video is not None else None

    def sound(self) -> Iterator[SoundBlock]:
        """Decode the chosen stream of sound to mono 16 kHz; holes in it stay holes in the blocks' times."""
        self._notes.restart("audio")
        index = self._named.audio
        if index is None:
            index = choose_sound(self._sounds, self._is_heard, self._notes)
        else:
            note_choice("audio", index, self._sounds, self._notes, NAMED)
        self._sound_read = index
        with self._open() as container:
            yield from self._sound_of(container, index, self._notes)

    def _sound_of(self, container: Any, index: int, notes: Notes) -> Iterator[SoundBlock]:
        stream = container.streams[index]
        check_rate(stream.rate or 0, self.name)
        reader = PacketReader(container, stream, "audio", self.name, notes)
        yield from read_sound(reader, self._start_s, self.name, self._timer, self._clip_limits.samples)
        if missing := missing_share(self._media):
            notes.add("truncated", "audio", f"{missing:.0%} of the promised bytes are missing: the file is cut short")

    def _is_heard(self, index: int, seconds: float) -> bool:
        blocks: list[NDArray[np.float32]] = []
        with contextlib.suppress(InputError), self._open() as container:
            for block in self._sound_of(container, index, Notes()):
                blocks.append(block.samples)
                if sum(map(len, blocks)) >= seconds * SAMPLE_RATE:
                    break
        return bool(blocks) and is_heard(np.concatenate(blocks), self._silence_dbfs)

    def notes(self) -> tuple[Note, ...]:
        """What is worth knowing about what was read so far, in the latest pass over each modality."""
        return self._notes.all()

    def streams(self) -> StreamNumbers:
        """Which streams were read so far; None where none was."""
        return StreamNumbers(self._sound_read, self._picture_read)

    def frames(self) -> Iterator[Frame]:
        """Decode the chosen stream of pictures, as a person would see them; most become RGB when they are looked at."""
        assert self._picture is not None
        self._notes.restart("visual")
        why = "" if self._named.visual is None else NAMED
        note_choice("visual", self._picture, self._pictures, self._notes, why)
        self._picture_read = self._picture
        with self._open() as container:
            stream = container.streams[self._picture]
            self._check_announced(container, stream)
            # The inverse DCT of MPEG and JPEG that computes the same on every kind of processor, and is no slower.
            stream.codec_context.options = {"max_pixels": str(self._max_pixels), "idct": "simple"}
            # Without this flag FFmpeg keeps up to 31 columns at the left that a cropping rectangle leaves out.
            stream.codec_context.flags |= Flags.unaligned
            stream.thread_type = "AUTO"
            # FFmpeg does not respect CPU quotas.
            cores = self._decoder_threads or usable_cores()
            stream.codec_context.thread_count = threads_for(stream.codec_context, cores)
            step = 1.0 / float(stream.average_rate or 25)
            time_s = -step
            # Viewers ignore the shape of pixels in single pictures: it tells how finely they were scanned.
            shape = None if container.format.name in SINGLE_PICTURES else stream.sample_aspect_ratio
            maker: PictureMaker | None = None
            decoded = PacketReader(container, stream, "visual", self.name, self._notes).frames()
            decoded = readable(decoded, stream.codec_context.name)
            for frame in self._whole(decoded):
                stamp = time_s + step if frame.time is None else frame.time - self._start_s
                time_s = max(time_s, stamp, 0.0)  # out-of-order time stamps must not turn time back
                if maker is None:
                    png = container.format.name == "png_pipe"
                    profile = png_profile(self._media) if png else frame_profile(frame)
                    maker = PictureMaker(shape, self._max_pixels, self._notes, profile)
                shown_s = float(frame.duration * frame.time_base) if frame.duration else step
                whole = DecodedFrame(time_s, shown_s, frame, maker, self._converting)
                yield whole if maker.may_wait(frame) else Frame(time_s, whole.pixels, shown_s)

    @contextlib.contextmanager
    def _converting(self) -> Iterator[None]:
        with self._timer.stage("convert"):
            try:
                yield
            except (FFmpegError, ValueError) as error:
                raise damage(self.name, "picture cannot be converted", error) from error

    def _whole(self, frames: Iterator[Any]) -> Iterator[Any]:
        """Frames that are not too large, without lines of two times."""
        try:
            yield from deinterlaced(self._bounded(frames))
        except FFmpegError as error:
            raise damage(self.name, "picture cannot be deinterlaced", error) from error

    def _bounded(self, frames: Iterator[Any]) -> Iterator[Any]:
        for frame in frames:
            self._check_size(frame.width, frame.height)
            yield frame

    def _check_announced(self, container: Any, stream: Any) -> None:
        """Refuse a stream that is too large or holds nothing; FFmpeg gives 0 x 0 for both."""
        width, height = stream.codec_context.width, stream.codec_context.height
        if width * height == 0 and not _has_packet(container, stream):
            raise EmptyStreamError(f"{self.name}: announces picture but holds no packet of it; {REMEDY}")
        self._check_size(width, height)

    def _refuse(self, container: Any) -> NoReturn:
        if has_tiles(container):
            raise UnsupportedMediaError(
                f"{self.name}: a picture in tiles (HEIC), which are not put together; save it as a JPEG or PNG"
            )
        raise NoStreamsError(f"{self.name}: holds neither sound nor picture; is it the file you meant?")

    @contextlib.contextmanager
    def _open(self) -> Iterator[Any]:
        with contextlib.ExitStack() as stack:
            try:
                container = stack.enter_context(open_container(self._media, self._max_pixels))
            except MemoryError as error:
                raise damage(self.name, "cannot be opened", error) from error
            except (FFmpegError, ValueError) as error:
                raise UnsupportedMediaError(
                    f"{self.name}: not a media file that can be opened ({reason_of(error)}); "
                    "expected a video or sound file such as mp4, mov, mkv, webm, wav, flac, mp3"
                ) from error
            except OSError as error:
                raise UnreadableFileError(f"{self.name}: cannot be read ({reason_of(error)})") from error
            yield container

    def _check_streams(self, count: int) -> None:
        most = self._clip_limits.streams
        if count > most:
            raise OversizedMediaError(
                f"{self.name}: {count} streams, at most {most} expected; copy those you need into a new file"
            )

    def _check_size(self, width: int, height: int) -> None:
        if not 0 < width * height <= self._max_pixels:  # FFmpeg gives 0 x 0 for what it refused to probe
            size = f"of {width} x {height}" if width * height else "of unknown size or too large to probe"
            raise OversizedMediaError(
                f"{self.name}: frames {size}, at most {self._max_pixels / 1e6:g} million pixels "
                "expected; scale the picture down"
            )


def _has_packet(container: Any, stream: Any) -> bool:
    with contextlib.suppress(FFmpegError):  # nothing can be read beyond this
        return any(packet.size for packet in container.demux(stream))
    return False


def _check_file(path: Path) -> None:
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFoundError(explain_missing(path)) from error
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        raise UnreadableFileError(f"{path}: cannot be read ({error})") from error
    if not stat.S_ISREG(status.st_mode):
        raise NotAFileError(f"{path}: not a regular file; expected a media file")
    if status.st_size == 0:
        raise EmptyFileError(f"{path}: empty file (0 bytes); was it copied completely?")
    if not os.access(path, os.R_OK):
        raise UnreadableFileError(f"{path}: no permission to read it")

"""Opens a clip, whatever it is: a media file, its content, or arrays in memory."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from vavl_runtime.bundle.manifest import Limits
from vavl_runtime.errors import InvalidArrayError, NoSuchStreamError, UnreadableFileError
from vavl_runtime.media.arrays import ArrayClip, ArraySource
from vavl_runtime.media.limits import ClipLimits
from vavl_runtime.media.source import Source
from vavl_runtime.stream_numbers import StreamNumbers
from vavl_runtime.timing import StageTimer

Clip = str | Path | bytes | BinaryIO | ArrayClip


@dataclass(frozen=True)
class Content:
    """The content of a media file, and how to call it in results."""

    content: bytes
    name: str


Portable = Path | Content | ArrayClip  # what another process can open


def to_portable(clip: Clip) -> Portable:
    """Read what only this process can read: an open file, to its end.

    Args:
        clip: As in `open_source`.

    Returns:
        The path, the content with its name, or the arrays.

    Raises:
        InputError: It is no clip, or the file cannot be read.
    """
    if isinstance(clip, ArrayClip):
        return clip
    if isinstance(clip, (str, Path)):
        return Path(clip)
    return Content(_content(clip), name_of(clip))


def open_source(
    clip: Clip | Portable,
    limits: Limits,
    timer: StageTimer | None = None,
    *,
    streams: StreamNumbers | None = None,
    clip_limits: ClipLimits | None = None,
    decoder_threads: int | None = None,
) -> Source:
    """Open a clip.

    Args:
        clip: A media file by its path, its content as bytes, a file opened in binary mode (read to its end), or arrays
            in memory.
        limits: Largest frame and silence level, as the bundle says.
        timer: Where resampling and conversion of frames are booked.
        streams: The streams to read, by their numbers; what is None is left to the rules.
        clip_limits: Bounds on what the file may ask for; the defaults of `ClipLimits` if None.
        decoder_threads: See `vavl_runtime.media.file.FileSource`.

    Returns:
        The clip as a source.

    Raises:
        InputError: The clip cannot be opened; the subclass says why.
    """
    held = clip if isinstance(clip, Content) else to_portable(clip)
    named = streams or StreamNumbers()
    if isinstance(held, ArrayClip):
        if named != StreamNumbers():
            raise NoSuchStreamError(f"{held.name}: got {named}, but arrays in memory have no streams; name none")
        return ArraySource(held)
    from vavl_runtime.media.file import FileSource  # PyAV is imported only for media files

    media, name = (held, None) if isinstance(held, Path) else (held.content, held.name)
    return FileSource(
        media, limits, timer, name=name, streams=named, clip_limits=clip_limits, decoder_threads=decoder_threads
    )


def name_of(clip: object) -> str:
    """Decide how results call a clip: its path, the path of an open file, or the kind of what was given."""
    if isinstance(clip, ArrayClip):
        return clip.name
    if isinstance(clip, (str, Path)):
        return os.fspath(clip)
    name = getattr(clip, "name", None)
    return name if isinstance(name, str) else type(clip).__name__


def _content(clip: object) -> bytes:
    if isinstance(clip, bytes):
        return clip
    read = getattr(clip, "read", None)
    if read is None:
        raise InvalidArrayError(
            f"clip: got {type(clip).__name__}, expected a path, bytes, a file opened in binary mode, or an ArrayClip"
        )
    try:
        content = read()
    except (OSError, ValueError) as error:  # ValueError: the file is closed
        raise UnreadableFileError(f"{name_of(clip)}: cannot be read ({error})") from error
    if not isinstance(content, bytes):
        kind = type(content).__name__
        raise InvalidArrayError(f"{name_of(clip)}: reading gives {kind}, expected bytes; open the file in mode 'rb'")
    return content

"""Opens a clip, whatever it is: a media file, its content, or arrays in memory."""

import os
from pathlib import Path
from typing import BinaryIO

from vavl_runtime.bundle.manifest import Limits
from vavl_runtime.errors import InvalidArrayError, UnreadableFileError
from vavl_runtime.media.arrays import ArrayClip, ArraySource
from vavl_runtime.media.source import Source
from vavl_runtime.timing import StageTimer

Clip = str | Path | bytes | BinaryIO | ArrayClip


def open_source(clip: Clip, limits: Limits, timer: StageTimer | None = None) -> Source:
    """Open a clip.

    Args:
        clip: A media file by its path, its content as bytes, a file opened in binary mode (read to its end), or arrays
            in memory.
        limits: Bounds on frame size.
        timer: Where resampling is booked.

    Returns:
        The clip as a source.

    Raises:
        InputError: The clip cannot be opened; the subclass says why.
    """
    if isinstance(clip, ArrayClip):
        return ArraySource(clip)
    from vavl_runtime.media.file import FileSource  # PyAV is imported only for media files

    if isinstance(clip, (str, Path)):
        return FileSource(Path(clip), limits, timer)
    return FileSource(_content(clip), limits, timer, name=name_of(clip))


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

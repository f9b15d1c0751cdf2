"""Opens a clip, whatever it is: a media file, or arrays in memory."""

from pathlib import Path

from vavl_runtime.bundle.manifest import Limits
from vavl_runtime.errors import InvalidArrayError
from vavl_runtime.media.arrays import ArrayClip, ArraySource
from vavl_runtime.media.source import Source
from vavl_runtime.timing import StageTimer


def open_source(clip: str | Path | ArrayClip, limits: Limits, timer: StageTimer | None = None) -> Source:
    """Open a clip.

    Args:
        clip: A media file, or arrays in memory.
        limits: Bounds on frame size.
        timer: Where resampling is booked.

    Returns:
        The clip as a source.

    Raises:
        InputError: The clip cannot be opened; the subclass says why.
    """
    if isinstance(clip, ArrayClip):
        return ArraySource(clip)
    if isinstance(clip, (str, Path)):
        from vavl_runtime.media.file import FileSource  # PyAV is imported only for files

        return FileSource(Path(clip), limits, timer)
    raise InvalidArrayError(f"clip: got {type(clip).__name__}, expected a path or an ArrayClip")

"""Finds files that hold fewer bytes than their own header promises, where FFmpeg adapts the length and says nothing."""

import io
import struct
from pathlib import Path

_HEAD = 1 << 16  # bytes: where the header must be
_UNKNOWN = 0x7FFF_F000  # programs that cannot go back to the header write sizes from here on
_MISSING = 0.1  # share of the bytes; as for lengths in seconds


def missing_share(media: Path | bytes) -> float:
    """Compare the size of a wav or mp3 file with what its header says.

    Args:
        media: The file's path, or its content.

    Returns:
        Which share of the promised bytes is missing; 0 if the file is whole, or promises nothing.
    """
    with io.BytesIO(media) if isinstance(media, bytes) else media.open("rb") as file:
        head = file.read(_HEAD)
        size = file.seek(0, io.SEEK_END)
    promised = _riff_end(head) or _mp3_end(head)
    missing = 1.0 - size / promised if promised else 0.0
    return missing if missing > _MISSING else 0.0


def _riff_end(head: bytes) -> int | None:
    """Where the samples of a wav end."""
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        return None
    place = 12
    while place + 8 <= len(head):
        name, length = struct.unpack_from("<4sI", head, place)
        place += 8
        if name == b"data":
            return place + length if 0 < length < _UNKNOWN else None
        place += length + length % 2
    return None


def _mp3_end(head: bytes) -> int | None:
    """Where the frames of an mp3 end whose first frame holds a table of the whole (Xing's, also LAME's)."""
    start = 0
    if head[:3] == b"ID3" and len(head) >= 10:
        start = 10 + sum((byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
    if head[start : start + 1] != b"\xff":
        return None
    for name in (b"Xing", b"Info"):
        place = head.find(name, start, start + 64)
        if place >= 0 and place + 16 <= len(head):
            flags, *sizes = struct.unpack_from(">III", head, place + 4)
            length = sizes[flags & 1]  # the number of frames comes first, if it is there
            return start + length if flags & 2 and 0 < length < _UNKNOWN else None
    return None

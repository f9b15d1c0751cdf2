"""Opens media with PyAV so that FFmpeg reads the given file and nothing else.

Many of FFmpeg's formats are no recordings: playlists, lists of files, descriptions of streams, text drawn as pictures.
Some of them open other files or connections, so the allowed formats are listed here. FFmpeg is handed an open file
without its name: it then chooses the format by the content alone, and cannot read a colon in the name as a protocol or
a percent sign as a numbered sequence of pictures.
"""

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av

# By FFmpeg's names; sound, films, single pictures.
FORMATS = (
    *("aac", "ac3", "aiff", "amr", "ape", "au", "caf", "eac3", "flac", "mp3", "ogg", "tta", "voc", "w64", "wav", "wv"),
    *("asf", "avi", "dv", "flv", "h264", "hevc", "ivf", "matroska", "mov", "mpeg", "mpegts", "mpegvideo", "mxf", "nut"),
    *("yuv4mpegpipe", "jpeg_pipe", "png_pipe"),
)
OPENING_S = 30.0
_READ_AT_ONCE = 1 << 18  # bytes; each read of FFmpeg calls Python

# PyAV before 19 refuses tags that are not UTF-8 unless told otherwise; later versions accept them and have no option.
_TOLERANT = {"metadata_errors": "ignore"} if int(av.__version__.split(".")[0]) < 19 else {}

# No log callback: one that takes the interpreter lock dead-locks with decoder threads that are being freed.
av.logging.set_level(None)


@contextlib.contextmanager
def open_container(media: Path | bytes, max_pixels: int) -> Iterator[Any]:
    """Open a media file.

    Args:
        media: The file's path, or its content.
        max_pixels: Largest frame that is decoded. Opening decodes a frame already, to probe the streams.

    Yields:
        PyAV's container.

    Raises:
        OSError: The file cannot be read, or FFmpeg cannot open it (`av.error.FFmpegError`). FFmpeg gives up after
            `OPENING_S` of looking for streams.
        ValueError: PyAV cannot open it.
    """
    options = {
        "format_whitelist": ",".join(FORMATS),
        "protocol_whitelist": "none",  # not the name of a protocol, so that nothing more is opened
        "max_pixels": str(max_pixels),
    }
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(io.BytesIO(media) if isinstance(media, bytes) else _without_name(media))
        timeout = (OPENING_S, None)
        yield stack.enter_context(
            av.open(file, mode="r", options=options, buffer_size=_READ_AT_ONCE, timeout=timeout, **_TOLERANT)
        )


def _without_name(path: Path) -> io.FileIO:
    """Open a file and hide its name.

    Its ``read`` must not be Python code: Python would run signal handlers there, and an exception that a handler raises
    inside FFmpeg's call ends the process at once, without any clean-up.
    """
    file = io.FileIO(path, "rb")
    file.name = "media"
    return file

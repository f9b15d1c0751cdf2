"""Finds clips: files as they are named, folders for the media files inside."""

import os
from dataclasses import dataclass
from pathlib import Path

from vavl_runtime.errors import InputError, NoMediaError

VIDEO_SUFFIXES = (
    ".3gp",
    ".avi",
    ".flv",
    ".m4v",
    ".mkv",
    ".mov",
    ".mp4",
    ".mpeg",
    ".mpg",
    ".mts",
    ".ogv",
    ".ts",
    ".webm",
)
SOUND_SUFFIXES = (".aac", ".flac", ".m4a", ".mp3", ".oga", ".ogg", ".opus", ".wav", ".wma")
PICTURE_SUFFIXES = (".jpeg", ".jpg", ".png")
MEDIA_SUFFIXES = frozenset(VIDEO_SUFFIXES + SOUND_SUFFIXES + PICTURE_SUFFIXES)


@dataclass(frozen=True)
class Listed:
    """A clip, or a folder that holds none, with its error."""

    path: Path
    error: InputError | None = None


def list_clips(arguments: list[Path]) -> list[Listed]:
    """Expand folders, recursively and in order of name.

    Args:
        arguments: Files and folders as given.

    Returns:
        The clips; a folder without media stands for itself, with its error.
    """
    clips: list[Listed] = []
    for argument in arguments:
        if not os.path.isdir(argument):  # noqa: PTH112 - unlike Path.is_dir, false for a name that is too long
            clips.append(Listed(argument))
            continue
        inside = sorted(p for p in argument.rglob("*") if p.suffix.lower() in MEDIA_SUFFIXES and p.is_file())
        clips += [Listed(path) for path in inside]
        if not inside:
            suffixes = " ".join(sorted(MEDIA_SUFFIXES))
            clips.append(Listed(argument, NoMediaError(f"{argument}: no media file in this folder ({suffixes})")))
    return clips

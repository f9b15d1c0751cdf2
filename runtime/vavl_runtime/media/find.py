"""Finds clips: files as they are named, folders for the media files inside."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from vavl_runtime.errors import InputError, NoMediaError, UnreadableFileError

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


_NO_SUFFIX = "without suffix"
_BROKEN_LINK = "broken link"


@dataclass(frozen=True)
class Listed:
    """A clip, or a folder that holds none or cannot be read, with its error."""

    path: Path
    error: InputError | None = None


@dataclass(frozen=True)
class Listing:
    """What was found.

    Attributes:
        clips: The clips, in order.
        skipped: How many files in folders were left out because of their suffix, by lower-case suffix.
    """

    clips: list[Listed] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)


def list_clips(arguments: list[Path]) -> Listing:
    """Expand folders, recursively and in order of name.

    Hidden files and folders are left out, and so are the ``__MACOSX`` folders of unpacked archives. Links to folders
    are entered, but no folder twice: links may go round in circles.

    Args:
        arguments: Files and folders as given.

    Returns:
        The clips; a folder without media, or one that cannot be read, stands for itself, with its error.
    """
    listing = Listing()
    for argument in arguments:
        if not os.path.isdir(argument):  # noqa: PTH112 - unlike Path.is_dir, false for a name that is too long
            listing.clips.append(Listed(argument))
            continue
        refused: list[Listed] = []
        inside = [path for path in _files(argument, refused) if _is_media(path, listing.skipped)]
        listing.clips.extend(sorted([*map(Listed, inside), *refused], key=lambda listed: listed.path))
        if not inside and not refused:
            suffixes = " ".join(sorted(MEDIA_SUFFIXES))
            error = NoMediaError(f"{argument}: no media file in this folder ({suffixes})")
            listing.clips.append(Listed(argument, error))
    return listing


def _files(folder: Path, refused: list[Listed]) -> Iterator[Path]:
    """What is no folder below a folder: first without links to folders, so that files keep their own names."""

    def refuse(error: OSError) -> None:
        path = Path(error.filename)
        refused.append(Listed(path, UnreadableFileError(f"{path}: cannot be read ({error.strerror})")))

    waiting = [folder]
    entered: set[Path] = set()
    while waiting:
        for name, folders, files in os.walk(waiting.pop(0), onerror=refuse):
            here = Path(name)
            if here.resolve() in entered:
                folders.clear()
                continue
            entered.add(here.resolve())
            folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "__MACOSX")
            waiting += [here / name for name in folders if (here / name).is_symlink()]
            yield from (here / name for name in files if not name.startswith("."))


def _is_media(path: Path, skipped: Counter[str]) -> bool:
    suffix = path.suffix.lower()
    if suffix not in MEDIA_SUFFIXES:
        skipped[suffix or _NO_SUFFIX] += 1
        return False
    if path.is_symlink() and not path.exists():
        skipped[_BROKEN_LINK] += 1
        return False
    return path.is_file()

"""Says what a name that is no file may have been meant as, and what is possible instead."""

import os
import re
from pathlib import Path

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/+")  # `Path` makes one slash of two
_PATTERN = re.compile(r"[*?]|\[.+\]")


def explain_missing(path: Path) -> str:
    """Write the message for a path where there is nothing.

    Args:
        path: As it was given.

    Returns:
        What came, and what to give instead.
    """
    text = os.fspath(path)
    if text == "-":
        return (
            "-: standard input is not read; save the recording in a file and give the file, or in Python give its "
            "content as bytes"
        )
    if address := _ADDRESS.match(text):
        scheme = address[1].lower()
        whole = f"{scheme}://{text[address.end() :]}"
        if scheme == "file":
            return f"{text}: an address, not a path; give the path alone: /{text[address.end() :]}"
        save = f"curl -o clip.mp4 '{whole}'" if scheme in ("http", "https") else f"ffmpeg -i '{whole}' -t 60 clip.mkv"
        return (
            f"{whole}: an address, and only files are read; save the recording first, for example with "
            f"`{save}`, and give the file"
        )
    if _PATTERN.search(path.name):
        return (
            f"{text}: no such file; if this is a pattern, nothing has replaced it by names: leave out the quotes, "
            "check that a file fits it, or give the folder"
        )
    return f"{text}: no such file"

"""A labelled corpus of two copies of a film, under a manifest."""

import shutil
from pathlib import Path


def write_corpus(folder: Path, film: Path) -> Path:
    """Write it.

    Args:
        folder: Where it goes.
        film: Its sound and its picture, for both clips.

    Returns:
        The folder.
    """
    folder.mkdir(exist_ok=True)
    rows = ["# name: tiny", "id,speaker,audio,visual,label"]
    for name, label in (("one", "happy"), ("two", "sad")):
        shutil.copy(film, folder / f"{name}.mp4")
        rows.append(f"{name},her,{name}.mp4,{name}.mp4,{label}")
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n")
    return folder

"""Reads TESS, the Toronto emotional speech set (Pichora-Fuller and Dupuis, 2020): two English women, sound alone."""

import re
from pathlib import Path, PurePosixPath

from vavl.corpora.checks import Problem
from vavl.corpora.corpus import Corpus
from vavl.corpora.named_files import NamedFile, Naming, read_named_files

EMOTIONS = {
    "angry": "angry",
    "disgust": "disgust",
    "fear": "fear",
    "happy": "happy",
    "ps": "surprise",  # called pleasant surprise
    "sad": "sad",
    "neutral": "neutral",
}
NAME = re.compile(r"(?P<age>[OY])AF?_(?P<word>[A-Za-z'-]+)_(?P<emotion>angry|disgust|fear|happy|ps|sad|neutral)")


def read_tess(folder: Path) -> tuple[Corpus, list[Problem]]:
    """Read the corpus: a file ``OAF_back_ps.wav`` is the older speaker with the word "back", pleasantly surprised.

    Two speakers are too few for speaker-independent training alone (see `vavl.corpora.partitions`).

    Args:
        folder: Holds the files, directly or in subfolders. One released file, ``OA_bite_neutral.wav``, lacks the F.

    Returns:
        The corpus, and the files whose name does not follow the pattern.
    """
    return read_named_files(folder, Naming("tess", tuple(EMOTIONS.values()), _named, "OAF_back_ps.wav"))


def _named(path: PurePosixPath) -> NamedFile | None:
    parts = NAME.fullmatch(path.stem)
    if not parts:
        return None
    speaker = f"{parts['age']}AF"
    return NamedFile(f"{speaker}_{parts['word']}_{parts['emotion']}", speaker, EMOTIONS[parts["emotion"]])

"""Reads EmoDB, the Berlin database of emotional speech (Burkhardt et al., Interspeech 2005): sound alone, in German."""

import re
from pathlib import Path, PurePosixPath

from vavl.corpora.checks import Problem
from vavl.corpora.corpus import Corpus
from vavl.corpora.named_files import NamedFile, Naming, read_named_files

# By the first letters of the German words: Wut, Langeweile, Ekel, Angst, Freude, Trauer, neutral.
EMOTIONS = {"W": "angry", "L": "boredom", "E": "disgust", "A": "fear", "F": "happy", "T": "sad", "N": "neutral"}
NAME = re.compile(r"(?P<speaker>\d\d)[ab]\d\d(?P<emotion>[WLEAFTN])[a-z]?")


def read_emodb(folder: Path) -> tuple[Corpus, list[Problem]]:
    """Read the corpus: a file ``03a01Fa.wav`` is speaker 03 with the text a01, happy (F), in the version a.

    Args:
        folder: Holds the files, directly or in ``wav/``.

    Returns:
        The corpus, and the files whose name does not follow the pattern.
    """
    return read_named_files(folder, Naming("emodb", tuple(EMOTIONS.values()), _named, "03a01Fa.wav"))


def _named(path: PurePosixPath) -> NamedFile | None:
    parts = NAME.fullmatch(path.stem)
    return NamedFile(path.stem, parts["speaker"], EMOTIONS[parts["emotion"]]) if parts else None

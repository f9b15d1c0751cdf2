"""Reads SAVEE (Haq and Jackson, AVSP 2009): four English men, with sound, film or both."""

import re
from pathlib import Path, PurePosixPath

from vavl.corpora.checks import Problem
from vavl.corpora.corpus import Corpus
from vavl.corpora.named_files import NamedFile, Naming, read_named_files
from vavl.model import Modality

EMOTIONS = {
    "a": "angry",
    "d": "disgust",
    "f": "fear",
    "h": "happy",
    "n": "neutral",
    "sa": "sad",
    "su": "surprise",
}
# The released folders name the speaker (DC/a01.wav), copies in one folder repeat it (DC_a01.wav).
NAME = re.compile(r"(.*/)?(?P<speaker>DC|JE|JK|KL)[/_](?P<emotion>a|d|f|h|n|sa|su)(?P<number>\d\d)")


def read_savee(folder: Path) -> tuple[Corpus, list[Problem]]:
    """Read the corpus: ``AudioData/DC/sa01.wav`` and ``AudioVisualClip/DC/sa01.avi`` are one clip, DC_sa01.

    Args:
        folder: Holds the released folders, or files such as ``DC_sa01.wav``. Features are of sound, unless ``Visual``
            is in the name of one of their folders.

    Returns:
        The corpus, and the files whose name does not follow the pattern.
    """
    example = "AudioData/DC/sa01.wav or DC_sa01.wav"
    return read_named_files(folder, Naming("savee", tuple(EMOTIONS.values()), _named, example))


def _named(path: PurePosixPath) -> NamedFile | None:
    parts = NAME.fullmatch(path.with_suffix("").as_posix())
    if not parts:
        return None
    clip = f"{parts['speaker']}_{parts['emotion']}{parts['number']}"
    features: Modality = "visual" if any("visual" in folder.lower() for folder in path.parts[:-1]) else "audio"
    return NamedFile(clip, parts["speaker"], EMOTIONS[parts["emotion"]], features)

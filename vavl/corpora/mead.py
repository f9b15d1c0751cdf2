"""Reads MEAD (Wang et al., ECCV 2020): English speakers in three intensities, sound and silent films apart."""

import re
from pathlib import Path, PurePosixPath

from vavl.corpora.checks import Problem
from vavl.corpora.corpus import Corpus
from vavl.corpora.named_files import NamedFile, Naming, read_named_files

EMOTIONS = {
    "angry": "angry",
    "contempt": "contempt",
    "disgusted": "disgust",
    "fear": "fear",
    "happy": "happy",
    "neutral": "neutral",
    "sad": "sad",
    "surprised": "surprise",
}
NAME = re.compile(
    r"(.*/)?(?P<speaker>[MW]\d{3})/(?P<medium>audio|video/(?P<view>[a-z0-9_]+))/"
    rf"(?P<emotion>{'|'.join(EMOTIONS)})/(?P<level>level_[1-3])/(?P<number>\d{{3}})"
)


def read_mead(folder: Path, view: str = "front") -> tuple[Corpus, list[Problem]]:
    """Read the corpus: ``M003/audio/sad/level_2/001.m4a`` and ``M003/video/front/sad/level_2/001.mp4`` are one clip.

    Args:
        folder: Holds the speakers' folders, in any subfolders.
        view: The camera whose films are taken: ``front``, ``down``, ``top``, ``left_30`` and so on. Films of the others
            are not used.

    Returns:
        The corpus, and the files whose name does not follow the pattern.
    """

    def named(path: PurePosixPath) -> NamedFile | None:
        parts = NAME.fullmatch(path.with_suffix("").as_posix())
        if not parts:
            return None
        clip = "_".join((parts["speaker"], parts["emotion"], parts["level"], parts["number"]))
        other = parts["view"] not in (None, view)
        return NamedFile(
            None if other else clip,
            parts["speaker"],
            EMOTIONS[parts["emotion"]],
            "visual" if parts["view"] else "audio",
        )

    example = f"M003/audio/sad/level_2/001.m4a or M003/video/{view}/sad/level_2/001.mp4"
    return read_named_files(folder, Naming("mead", tuple(EMOTIONS.values()), named, example, sounding=False))

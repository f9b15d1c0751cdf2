"""Reads RAVDESS by file names. Film, silent film and sound of one performance are one clip."""

import re
from collections import defaultdict
from pathlib import Path

from vavl.corpora.checks import Problem
from vavl.corpora.corpus import FEATURES_SUFFIX, Clip, Corpus, clip_files

# The corpus's own order, 01 to 08; names shared with `vavl.config.CREMA_D_CLASSES` mean the same emotion.
CLASSES = ("neutral", "calm", "happy", "sad", "angry", "fear", "disgust", "surprise")
CHANNELS = {"01": "speech", "02": "song"}
FILM, SILENT_FILM, SOUND = "01", "02", "03"
NAME = re.compile(
    r"(?P<modality>0[1-3])-(?P<performance>(?P<channel>0[12])-(?P<emotion>0[1-8])(-\d\d){3}-(?P<actor>\d\d))"
)


def read_ravdess(folder: Path, channels: tuple[str, ...] = ("speech",)) -> tuple[Corpus, list[Problem]]:
    """Read the corpus. A clip is a performance; its id is the file name without the modality.

    Audio is taken from the sound file (03), or from the film (01) if there is none; video from the film, or from the
    silent film (02) if there is none.

    Args:
        folder: Holds the files, directly or in subfolders such as ``Actor_01``.
        channels: ``speech``, ``song`` or both. Song has neither disgust nor surprise.

    Returns:
        The corpus, and the files whose name does not follow the pattern.
    """
    problems: list[Problem] = []
    performances: dict[str, dict[str, Path]] = defaultdict(dict)
    for path in clip_files(folder):
        source = path.relative_to(folder).as_posix()
        parts = NAME.fullmatch(path.stem)
        if not parts or (parts["modality"] == FILM and path.suffix.lower() == FEATURES_SUFFIX):
            message = (
                f"file name {path.name!r}, expected modality-channel-emotion-intensity-statement-repetition-actor "
                f"with emotion 01 to 0{len(CLASSES)}, such as 03-01-06-01-02-01-12.wav; features are 02 or 03"
            )
            problems.append(Problem(source, "", "name", message))
        elif CHANNELS[parts["channel"]] in channels:
            files = performances[parts["performance"]]
            first = files.setdefault(parts["modality"], path)
            if first != path:
                message = f"the same as {first.relative_to(folder).as_posix()}; keep one of them"
                problems.append(Problem(source, parts["performance"], "duplicate_id", message))
    if not performances:
        message = f"no clips of {' or '.join(channels)}; expected files such as Actor_12/03-01-06-01-02-01-12.wav"
        problems.append(Problem(str(folder), "", "layout", message))
    clips = tuple(_clip(folder, id_, files) for id_, files in sorted(performances.items()))
    return Corpus("ravdess", "classification", CLASSES, clips), problems


def _clip(folder: Path, id_: str, files: dict[str, Path]) -> Clip:
    _, emotion, *_, actor = id_.split("-")
    target = tuple(float(number == int(emotion)) for number in range(1, len(CLASSES) + 1))
    source = next(iter(files.values())).relative_to(folder).as_posix()
    audio, visual = files.get(SOUND, files.get(FILM)), files.get(FILM, files.get(SILENT_FILM))
    return Clip(id_, actor, target, audio, visual, source)

"""Reads the Javanese emotion corpus by file names: few clips with audio and video, many with audio only."""

import re
from pathlib import Path

from vavl.corpora.checks import Problem
from vavl.corpora.corpus import FEATURES_SUFFIX, Clip, Corpus, clip_files

# The corpus's own order, 01 to 06; names shared with `vavl.config.CREMA_D_CLASSES` mean the same emotion.
CLASSES = ("neutral", "sad", "happy", "surprise", "fear", "angry")
NAME = re.compile(r"(?P<actor>\d\d)-(?P<sentence>\d\d)-(?P<emotion>0[1-6])_(?P<repetition>\d\d)")


def read_javanese(folder: Path) -> tuple[Corpus, list[Problem]]:
    """Read the corpus: ``audio/AA-SS-EE_RR.*`` is the audio and ``video/AA-SS-EE_RR.*`` the video of one clip.

    The sound track of a film equals the audio file with its name, so it is used only if there is no such file.

    Args:
        folder: Holds ``audio/``, ``video/`` or both.

    Returns:
        The corpus, and the files whose name does not follow the pattern.
    """
    problems: list[Problem] = []
    sounds = _by_name(folder, "audio", problems)
    films = _by_name(folder, "video", problems)
    with_sound = {id_: path for id_, path in films.items() if path.suffix.lower() != FEATURES_SUFFIX}
    clips = [
        _clip(folder, id_, audio=sounds.get(id_, with_sound.get(id_)), visual=films.get(id_))
        for id_ in sorted({*sounds, *films})
    ]
    if not clips:
        message = "no clips; expected audio/AA-SS-EE_RR.flac and video/AA-SS-EE_RR.mp4"
        problems.append(Problem(str(folder), "", "layout", message))
    return Corpus("javanese", "classification", CLASSES, tuple(clips)), problems


def _by_name(folder: Path, name: str, problems: list[Problem]) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for path in clip_files(folder / name):
        source = path.relative_to(folder).as_posix()
        if not NAME.fullmatch(path.stem):
            message = f"file name {path.name!r}, expected AA-SS-EE_RR with emotion 01 to 0{len(CLASSES)}"
            problems.append(Problem(source, "", "name", message))
        elif path.stem in files:
            message = f"the same clip as {files[path.stem].relative_to(folder).as_posix()}; keep one of them"
            problems.append(Problem(source, path.stem, "duplicate_id", message))
        else:
            files[path.stem] = path
    return files


def _clip(folder: Path, id_: str, audio: Path | None, visual: Path | None) -> Clip:
    parts = NAME.fullmatch(id_)
    file = visual or audio
    assert parts and file
    target = tuple(float(number == int(parts["emotion"])) for number in range(1, len(CLASSES) + 1))
    return Clip(id_, parts["actor"], target, audio, visual, file.relative_to(folder).as_posix())

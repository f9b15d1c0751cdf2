"""Reads corpora whose file names say everything: who speaks, which emotion, and which files belong together."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from vavl.corpora.checks import Problem
from vavl.corpora.corpus import Clip, Corpus, clip_files
from vavl.model import Modality
from vavl_runtime.media.find import SOUND_SUFFIXES, VIDEO_SUFFIXES


@dataclass(frozen=True)
class NamedFile:
    """What the name of one file says.

    Attributes:
        clip: Id of its clip, the same for its sound and its film; None for a file that is not used.
        speaker: Name of the speaker.
        label: The emotion, one of the labels of the corpus.
        features: The modality if the file holds features; media files say it by their suffix.
    """

    clip: str | None
    speaker: str
    label: str
    features: Modality = "audio"


@dataclass(frozen=True)
class Naming:
    """How a corpus names its files.

    Attributes:
        corpus: Short name of the corpus.
        labels: Its classes, in order. Names shared with `vavl.config.CREMA_D_CLASSES` mean the same emotion.
        read: What a path below the folder says, or None if it does not follow the pattern.
        example: Some names that do, for messages.
        sounding: Films have sound.
    """

    corpus: str
    labels: tuple[str, ...]
    read: Callable[[PurePosixPath], NamedFile | None]
    example: str
    sounding: bool = True


def read_named_files(folder: Path, naming: Naming) -> tuple[Corpus, list[Problem]]:
    """Read a corpus. The sound of a film is used if the clip has no sound file.

    Args:
        folder: Holds the files, in any subfolders that the naming allows.
        naming: How the corpus names its files.

    Returns:
        The corpus, sorted by clip, and the files whose name does not follow the pattern.
    """
    problems: list[Problem] = []
    media: dict[str, dict[str, Path]] = defaultdict(dict)
    named: dict[str, NamedFile] = {}
    for path in clip_files(folder):
        source = PurePosixPath(path.relative_to(folder).as_posix())
        found = naming.read(source)
        if found is None:
            message = f"file name {path.name!r}, expected names such as {naming.example}"
            problems.append(Problem(str(source), "", "name", message))
            continue
        if found.clip is None:
            continue
        first = media[found.clip].setdefault(_kind(path, found), path)
        named.setdefault(found.clip, found)
        if first != path:
            message = f"the same clip as {first.relative_to(folder).as_posix()}; keep one of them"
            problems.append(Problem(str(source), found.clip, "duplicate_id", message))
    if not named:
        problems.append(Problem(str(folder), "", "layout", f"no clips; expected files such as {naming.example}"))
    clips = tuple(_clip(folder, id_, named[id_], media[id_], naming) for id_ in sorted(named))
    return Corpus(naming.corpus, "classification", naming.labels, clips), problems


def _kind(path: Path, found: NamedFile) -> str:
    suffix = path.suffix.lower()
    return "sound" if suffix in SOUND_SUFFIXES else "film" if suffix in VIDEO_SUFFIXES else found.features


def _clip(folder: Path, id_: str, found: NamedFile, files: dict[str, Path], naming: Naming) -> Clip:
    target = tuple(float(label == found.label) for label in naming.labels)
    film = files.get("film")
    audio = files.get("sound") or files.get("audio") or (film if naming.sounding else None)
    visual = film or files.get("visual")
    source = next(iter(files.values())).relative_to(folder).as_posix()
    return Clip(id_, found.speaker, target, audio, visual, source)

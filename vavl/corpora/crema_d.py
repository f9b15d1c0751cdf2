"""Reads CREMA-D from the label files released with VAVL; those of MSP-IMPROV have the same form."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from vavl.config import CREMA_D_CLASSES, Task
from vavl.corpora.checks import Problem
from vavl.corpora.corpus import CLIP_SUFFIXES, FEATURES_SUFFIX, Clip, Corpus, Partition, Split, clip_files
from vavl.corpora.manifest import Row, read_table

# Where label files and media are, in order of preference: only the first place that holds any file is read.
LABEL_FILES = ("partitions/*.csv", "*label*/*.csv", "*/*label*/*.csv", "*label*.csv", "partition*.csv")
AUDIO_FOLDERS = ("AudioWAV", "AudioMP3", "Audios", "Audio")
VISUAL_FOLDERS = ("Face_features", "VideoFlash", "Videos", "Video")

# Accepted column names; case, underscores and spaces are ignored.
COLUMNS = {
    "file": ("filename", "file", "clip"),
    "speaker": ("spkrid", "speakerid", "speaker"),
    "split": ("splitset", "split"),
}

Columns = Mapping[str, str]


def read_crema_d(folder: Path) -> tuple[Corpus, list[Problem]]:
    """Read CREMA-D: six classes in the released order (D17), vote shares as target, five partitions.

    Args:
        folder: Holds label files and media, see ``docs/corpora.md``.

    Returns:
        The corpus of all labelled clips, with or without media, and the problems of the label files.
    """
    targets = {name: (name,) for name in CREMA_D_CLASSES}
    return read_released(
        folder, "crema-d", "classification", targets, lambda row, columns: row.text(columns["speaker"])
    )


def read_released(
    folder: Path,
    name: str,
    task: Task,
    targets: Mapping[str, tuple[str, ...]],
    speaker_of: Callable[[Row, Columns], str],
) -> tuple[Corpus, list[Problem]]:
    """Read a corpus from label files like those of VAVL's authors: one file per partition, each with every clip.

    Args:
        folder: Holds label files and media.
        name: Name of the corpus.
        task: ``classification`` or ``regression``.
        targets: Accepted column names of each label, in the order of the labels.
        speaker_of: Returns the speaker of a row, given the file's names of the columns in `COLUMNS`.

    Returns:
        The corpus of all labelled clips, with or without media, and the problems of the label files.
    """
    problems: list[Problem] = []
    audio, visual = _media(folder, problems)
    files = next(filter(None, (sorted(folder.glob(pattern), key=_natural) for pattern in LABEL_FILES)), [])
    if not files:
        expected = ", ".join(LABEL_FILES)
        problems.append(Problem(str(folder), "", "layout", f"no label files; expected one of {expected}"))

    clips: dict[str, Clip] = {}
    repeated: list[Clip] = []
    partitions: list[Partition] = []
    for path in files:
        split_of: dict[str, Split] = {}
        rows, columns, found = _read_labels(path, path.relative_to(folder).as_posix(), targets)
        problems += found
        for row in rows:
            id_ = _id(row.text(columns["file"]))
            target = tuple(row.number(columns[label]) for label in targets)
            clip = Clip(id_, speaker_of(row, columns), target, audio.get(id_), visual.get(id_), row.source)
            split = row.split(columns["split"])
            if not row.faults and not _agree(clip, clips.setdefault(id_, clip)):
                row.faults.append(f"labels or speaker differ from {clips[id_].source}")
            problems += row.problems(id_)
            if split is not None and not row.faults:
                repeated += [clip] if id_ in split_of else []
                split_of[id_] = split
        partitions.append(Partition(path.stem.replace("_", " "), split_of))
    return Corpus(name, task, tuple(targets), (*clips.values(), *repeated), tuple(partitions)), problems


def _media(folder: Path, problems: list[Problem]) -> tuple[dict[str, Path], dict[str, Path]]:
    """Audio files and visual files by clip id."""
    audio = _first_with_files(folder, AUDIO_FOLDERS, problems)
    visual = _first_with_files(folder, VISUAL_FOLDERS, problems)
    if not audio:  # take the sound of the films
        audio = {stem: path for stem, path in visual.items() if path.suffix.lower() != FEATURES_SUFFIX}
    if not audio and not visual:
        expected = ", ".join((*AUDIO_FOLDERS, *VISUAL_FOLDERS))
        problems.append(Problem(str(folder), "", "layout", f"no media; expected files below one of {expected}"))
    return audio, visual


def _read_labels(
    path: Path, source: str, targets: Mapping[str, tuple[str, ...]]
) -> tuple[list[Row], Columns, list[Problem]]:
    """The rows of a label file, its names of the needed columns (and of ``gender``, if present), and its problems."""
    table = read_table(path, source)
    plain = {re.sub(r"[\s_]", "", column).lower(): column for column in table.columns}
    wanted = {**COLUMNS, **targets}
    found = {key: plain[name] for key, names in wanted.items() for name in reversed(names) if name in plain}
    missing = [" or ".join(names) for key, names in wanted.items() if key not in found]
    if missing:
        missing_columns = Problem(source, "", "layout", f"no column {', '.join(missing)}")
        return [], {}, [*table.problems, *([missing_columns] if table.columns else [])]
    return table.rows, {**found, **({"gender": plain["gender"]} if "gender" in plain else {})}, table.problems


def _agree(one: Clip, other: Clip) -> bool:
    return one.speaker == other.speaker and repr(one.target) == repr(
        other.target
    )  # as text: NaN is not equal to itself


def _first_with_files(folder: Path, names: tuple[str, ...], problems: list[Problem]) -> dict[str, Path]:
    """Files by stem in the first named folder (in any case) that holds any; two files with one stem are a problem."""
    here = {path.name.lower(): path for path in sorted(folder.iterdir()) if path.is_dir()}
    for name in names:
        files: dict[str, Path] = {}
        for path in clip_files(here[name.lower()]) if name.lower() in here else []:
            first = files.setdefault(path.stem, path)
            if first != path:
                message = f"the same clip as {first.relative_to(folder).as_posix()}; keep one of them"
                problems.append(Problem(path.relative_to(folder).as_posix(), path.stem, "duplicate_id", message))
        if files:
            return files
    return {}


def _id(file: str) -> str:
    """The clip id of a file name: ``session1/clip.wav`` and ``clip`` both give ``clip``."""
    path = Path(file)
    return path.stem if path.suffix.lower() in CLIP_SUFFIXES else path.name


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sort key that puts partition 10 after partition 9."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", path.as_posix())]

"""Checks of a corpus: they find all problems before any training."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from vavl.corpora.corpus import FEATURES_SUFFIX, SPLITS, Clip, Corpus, Partition
from vavl.corpora.feature_file import open_features
from vavl.model import Modality
from vavl_runtime.bundle.manifest import Limits
from vavl_runtime.errors import InputError, InvalidArrayError, NoStreamsError, NotFoundError
from vavl_runtime.media import open_source

Kind = Literal[
    "layout",  # a folder, table or column is missing or unreadable; leaving clips out does not help
    "row",  # a row of a table is invalid
    "name",  # a file name does not follow the corpus's pattern
    "duplicate_id",
    "label",
    "no_modality",
    "missing_file",
    "media",
    "features",
    "unknown_clip",
    "speaker_in_two_splits",
    "empty_split",
    "untrained_class",
]
NOTES: tuple[Kind, ...] = ("untrained_class",)

# Shares are rounded in tables: the sum of six shares with two decimals may differ from 1 by 0.03.
SHARE_TOLERANCE = 0.05


@dataclass(frozen=True)
class Problem:
    """One problem of a corpus.

    Attributes:
        source: Where it is: ``labels.csv:17``, a file name or the name of a partition.
        clip: Id of the clip to leave out to resolve the problem; empty if it does not belong to one clip.
        kind: Stable name of the kind of problem.
        message: What came, what was expected and how to mend it.
    """

    source: str
    clip: str
    kind: Kind
    message: str

    @property
    def is_note(self) -> bool:
        """Whether training is possible in spite of it."""
        return self.kind in NOTES

    def __str__(self) -> str:
        return ": ".join(part for part in (self.source, self.clip, self.message) if part)


def check_corpus(corpus: Corpus, partitions: Sequence[Partition] | None = None) -> list[Problem]:
    """Find all problems of a corpus.

    Media files are opened but not decoded, which takes about a millisecond per file. Feature files are read completely.

    Args:
        corpus: The corpus.
        partitions: Partitions of the corpus; by default those that it ships.

    Returns:
        All problems: of ids, of labels, of files and of partitions.
    """
    return [
        *_check_ids(corpus),
        *_check_labels(corpus),
        *_check_files(corpus),
        *check_partitions(corpus, corpus.partitions if partitions is None else partitions),
    ]


def check_partitions(corpus: Corpus, partitions: Sequence[Partition]) -> list[Problem]:
    """Find all problems of partitions: unknown clips, speakers in two splits, empty splits, untrained classes.

    If a speaker is in two splits, the problem is reported for the clips outside the split that has most of them.

    Args:
        corpus: The corpus.
        partitions: Partitions of the corpus.

    Returns:
        All problems. A class without a training clip is only a note.
    """
    clips = {clip.id: clip for clip in corpus.clips}
    return [
        problem
        for partition in partitions
        for check in (_check_speakers, _check_splits)
        for problem in check(corpus, clips, partition)
    ]


def _check_ids(corpus: Corpus) -> Iterator[Problem]:
    first: dict[str, Clip] = {}
    for clip in corpus.clips:
        if clip.id in first:
            message = f"id already used at {first[clip.id].source}; every clip needs its own"
            yield Problem(clip.source, clip.id, "duplicate_id", message)
        first.setdefault(clip.id, clip)


def _check_labels(corpus: Corpus) -> Iterator[Problem]:
    what, (low, high) = ("class shares", (0.0, 1.0)) if corpus.task == "classification" else ("scores", corpus.scale)
    for clip in corpus.clips:
        named = ", ".join(f"{name} {value:g}" for name, value in zip(corpus.labels, clip.target, strict=False))
        message = ""
        if len(clip.target) != len(corpus.labels):
            message = f"{len(clip.target)} {what}, expected one for each of {', '.join(corpus.labels)}"
        elif not all(low <= value <= high for value in clip.target):
            message = f"{what} out of range: {named}; expected {low:g} to {high:g}"
        elif corpus.task == "classification" and abs(sum(clip.target) - 1.0) > SHARE_TOLERANCE:
            message = f"class shares sum to {sum(clip.target):g}, expected 1: {named}"
        if message:
            yield Problem(clip.source, clip.id, "label", message)


def _check_files(corpus: Corpus) -> Iterator[Problem]:
    features: dict[Modality, list[tuple[Clip, Path, int]]] = defaultdict(list)
    for clip in corpus.clips:
        if not clip.modalities:
            yield Problem(clip.source, clip.id, "no_modality", "neither sound nor picture; expected at least one file")
        for modality in clip.modalities:
            path = clip.audio if modality == "audio" else clip.visual
            assert path is not None
            try:
                if path.suffix.lower() == FEATURES_SUFFIX:
                    width = _feature_width(path)
                    features[modality].append((clip, path, width))
                else:
                    _check_media(path, modality)
            except InputError as error:
                yield Problem(clip.source, clip.id, _kind(error), str(error))
    for read in features.values():
        (usual, count), *_ = Counter(width for _, _, width in read).most_common(1)
        for clip, path, width in read:
            if width != usual:
                message = f"{path}: features of width {width}, expected {usual} as in {count} other files"
                yield Problem(clip.source, clip.id, "features", message)


def _kind(error: InputError) -> Kind:
    if isinstance(error, NotFoundError):
        return "missing_file"
    return "features" if isinstance(error, InvalidArrayError) else "media"


def _check_media(path: Path, modality: Modality) -> None:
    source = open_source(path, Limits())
    if not (source.has_audio if modality == "audio" else source.has_video):
        what, other = ("sound", "picture") if modality == "audio" else ("picture", "sound")
        raise NoStreamsError(f"{path}: has no {what}, only {other}; list it as the other modality or leave it out")


def _feature_width(path: Path) -> int:
    """Check a feature file of shape (T, F) and return F."""
    features = open_features(path)
    wrong = features.size - np.count_nonzero(np.isfinite(features))
    if wrong:
        raise InvalidArrayError(f"{path}: {wrong} of {features.size} values are NaN or infinite; extract it again")
    return int(features.shape[1])


def _check_speakers(corpus: Corpus, clips: dict[str, Clip], partition: Partition) -> Iterator[Problem]:
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for id_, split in partition.split_of.items():
        if id_ in clips:
            counts[clips[id_].speaker][split] += 1
        else:
            message = f"no such clip in {corpus.name}, yet in {split}"
            yield Problem(partition.name, id_, "unknown_clip", message)
    home = {speaker: max(SPLITS, key=splits.__getitem__) for speaker, splits in counts.items()}
    for id_, split in partition.split_of.items():
        if id_ in clips and split != home[clips[id_].speaker]:
            clip = clips[id_]
            message = (
                f"in {split} of {partition.name}, but speaker {clip.speaker} is in {home[clip.speaker]} "
                f"with {counts[clip.speaker][home[clip.speaker]]} clips; split by speaker"
            )
            yield Problem(clip.source, id_, "speaker_in_two_splits", message)


def _check_splits(corpus: Corpus, clips: dict[str, Clip], partition: Partition) -> Iterator[Problem]:
    for split in SPLITS:
        if not partition.ids(split):
            yield Problem(partition.name, "", "empty_split", f"no {split} clip; every split needs at least one")
    if corpus.task == "classification":
        trained = {_voted(clips[id_]) for id_ in partition.ids("train") if id_ in clips and clips[id_].target}
        for number, label in enumerate(corpus.labels):
            if number not in trained:
                message = f"no training clip of class {label}: it will hardly ever be predicted"
                yield Problem(partition.name, "", "untrained_class", message)


def _voted(clip: Clip) -> int:
    return max(range(len(clip.target)), key=clip.target.__getitem__)

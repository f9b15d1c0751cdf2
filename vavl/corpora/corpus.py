"""What every corpus is to the rest of the package: clips with labels, speakers and whatever modalities exist."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from vavl.config import Task
from vavl.model import Modality
from vavl_runtime.media.find import SOUND_SUFFIXES, VIDEO_SUFFIXES

Split = Literal["train", "development", "test"]
SPLITS: tuple[Split, ...] = ("train", "development", "test")

FEATURES_SUFFIX = ".npy"
CLIP_SUFFIXES = frozenset((*SOUND_SUFFIXES, *VIDEO_SUFFIXES, FEATURES_SUFFIX))


@dataclass(frozen=True)
class Clip:
    """One labelled clip.

    Attributes:
        id: Unique within the corpus.
        speaker: Who is heard and seen; partitions never put one speaker into two sets.
        target: Shares of the classes, summing to 1 (a one-hot or a vote vector), or attribute scores on the
            corpus's scale, in the order of the corpus's labels.
        audio: Where the sound is: a media file, or a ``.npy`` of features (T_a, F_a); None if there is none.
        visual: Where the picture is: a media file, or a ``.npy`` of features (T_v, F_v); None if there is none.
        source: Where the clip is described, for messages: ``labels.csv:17`` or a file name.
    """

    id: str
    speaker: str
    target: tuple[float, ...]
    audio: Path | None
    visual: Path | None
    source: str

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """The modalities that the corpus announces for this clip."""
        return (*(("audio",) if self.audio else ()), *(("visual",) if self.visual else ()))


@dataclass(frozen=True)
class Partition:
    """Which clips are trained on, chosen by and tested on.

    Attributes:
        name: How reports call it: ``partition 1`` or ``seed 3``.
        split_of: Split of every clip, by clip id; a clip that is left out is not used.
    """

    name: str
    split_of: Mapping[str, Split]

    def ids(self, split: Split) -> tuple[str, ...]:
        """Ids of the clips of a split, in the order of the partition."""
        return tuple(clip for clip, other in self.split_of.items() if other == split)


@dataclass(frozen=True)
class Corpus:
    """Clips and their partitions.

    Attributes:
        name: Short name.
        task: ``classification`` or ``regression``.
        labels: Class or attribute names, in the order of `Clip.target` (D17, D18).
        clips: All clips.
        partitions: Those that the corpus ships; empty if it ships none (see `vavl.corpora.partitions`).
        scale: Lowest and highest attribute score.
        left_out: Problems of clips that were left out on request, as text.
        notes: What is odd about the corpus but stops nobody from training, as text.
    """

    name: str
    task: Task
    labels: tuple[str, ...]
    clips: tuple[Clip, ...]
    partitions: tuple[Partition, ...] = ()
    scale: tuple[float, float] = (1.0, 5.0)
    left_out: tuple[str, ...] = field(default=())
    notes: tuple[str, ...] = field(default=())

    @property
    def speakers(self) -> tuple[str, ...]:
        """Everybody in the corpus, sorted."""
        return tuple(sorted({clip.speaker for clip in self.clips}))


def clip_files(folder: Path) -> list[Path]:
    """Media and feature files below a folder, in order of path; files whose name starts with a dot do not count.

    Args:
        folder: Where to look, recursively; may be absent.

    Returns:
        Their paths.
    """
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in CLIP_SUFFIXES and not path.name.startswith(".") and path.is_file()
    )

"""The form of every corpus: clips with labels, speakers and the modalities that exist."""

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
        speaker: Name of the speaker; a partition never has one speaker in two sets.
        target: Shares of the classes, summing to 1 (a one-hot or a vote vector), or attribute scores on the
            corpus's scale, in the order of the corpus's labels.
        audio: Media file with the audio, or ``.npy`` file of features (T_a, F_a); None if the clip has no audio.
        visual: Media file with the video, or ``.npy`` file of features (T_v, F_v); None if the clip has no video.
        source: Where the clip is described, for messages: ``labels.csv:17`` or a file name.

    Example:
        >>> Clip("c1", "ann", (1.0, 0.0), Path("c1.wav"), None, "manifest.csv:2").modalities
        ('audio',)
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
    """A division of the clips into training, development and test set.

    Attributes:
        name: Name in reports, such as ``partition 1``.
        split_of: Split of each clip, by clip id. A clip that is not in it is not used.
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
        partitions: The partitions that the corpus ships; empty if it ships none (see `vavl.corpora.partitions`).
        scale: Lowest and highest attribute score.
        left_out: The problems of the clips that were left out on request, as text.
        notes: Unusual properties that do not prevent training, as text.
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
        """Names of all speakers, sorted."""
        return tuple(sorted({clip.speaker for clip in self.clips}))


def clip_files(folder: Path) -> list[Path]:
    """Find media and feature files below a folder. Files whose name starts with a dot are ignored.

    Args:
        folder: Searched recursively; need not exist.

    Returns:
        Paths of the files, sorted.
    """
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in CLIP_SUFFIXES and not path.name.startswith(".") and path.is_file()
    )

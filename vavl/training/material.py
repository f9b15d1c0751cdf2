"""The corpus, the partition and the features that an experiment trains on."""

from dataclasses import dataclass
from pathlib import Path

from vavl.config import PRESETS, VavlConfig
from vavl.corpora import Corpus, Partition, make_partitions, open_corpus
from vavl.corpora.checks import Problem
from vavl.corpora.corpus import SPLITS, Split
from vavl.corpora.opening import leave_out
from vavl.errors import ConfigError
from vavl.features.cache import FeatureCache
from vavl.training.dataset import FeatureSet
from vavl.training.experiment import CorpusChoice, Experiment, PartitionChoice


@dataclass(frozen=True)
class Material:
    """A corpus with the features of each split.

    Attributes:
        corpus: The corpus.
        partition: The partition in use.
        splits: Features by split; a split without clips is left out.
    """

    corpus: Corpus
    partition: Partition
    splits: dict[Split, FeatureSet]

    def speakers(self, split: Split) -> tuple[str, ...]:
        """Names of the speakers of a split, sorted."""
        return tuple(
            sorted({clip.speaker for clip in self.corpus.clips if self.partition.split_of.get(clip.id) == split})
        )


def partitions_of(corpus: Corpus, seed: int, count: int) -> tuple[Partition, ...]:
    """The partitions that a corpus ships, or `make_partitions` if it ships none."""
    return corpus.partitions or make_partitions(corpus, count, seed)


def choose_partition(corpus: Corpus, choice: PartitionChoice) -> Partition:
    """Choose a partition of a corpus.

    Raises:
        ConfigError: The corpus has no such partition.
    """
    if choice.number == "all":
        return Partition("all", {clip.id: "train" for clip in corpus.clips})
    found = partitions_of(corpus, choice.seed, choice.count)
    if choice.number > len(found):
        raise ConfigError(f"partition {choice.number}: the corpus {corpus.name} has {len(found)}, or 'all'")
    return found[choice.number - 1]


def open_corpus_and_cache(choice: CorpusChoice, features: Path) -> tuple[Corpus, FeatureCache]:
    """Open a corpus and the cache of its features.

    Args:
        choice: The corpus. With ``skip_bad``, clips without features are left out like other bad clips.
        features: Folder of the cache.

    Returns:
        The corpus and the cache, open for reading.

    Raises:
        CorpusError: The corpus has problems.
        ConfigError: There is no cache, or it holds raw sound and faces, or no clip of this corpus.
    """
    corpus = open_corpus(choice.kind, choice.folder, skip_bad=choice.skip_bad)
    cache = FeatureCache(features)
    if "raw" in cache.identity.encoders.values():
        raise ConfigError(f"{features}: holds sound and face crops, not features; run vavl-train features")
    absent = [clip for clip in corpus.clips if clip.id not in cache]
    if len(absent) == len(corpus.clips):
        raise ConfigError(f"{features}: holds no clip of {corpus.name}; run vavl-train features on it")
    if choice.skip_bad:
        message = f"no features in {features}: unreadable, or vavl-train features has not finished"
        corpus = leave_out(corpus, [Problem(clip.source, clip.id, "features", message) for clip in absent])
    return corpus, cache


def open_material(experiment: Experiment) -> Material:
    """Open the corpus and the features of each split.

    Raises:
        CorpusError: The corpus has problems.
        ConfigError: The partition does not exist or has no clip to train on, or features are missing or have other
            widths than the model expects.
    """
    corpus, cache = open_corpus_and_cache(experiment.corpus, Path(experiment.features))
    partition = choose_partition(corpus, experiment.partition)
    model = experiment.model
    if cache.identity.dims != {"audio": model.audio_dim, "visual": model.visual_dim}:
        raise ConfigError(
            f"{experiment.features}: got features of widths {cache.identity.dims}, the model takes "
            f"{model.audio_dim} and {model.visual_dim}; change the model or extract features with its encoders"
        )
    splits: dict[Split, FeatureSet] = {}
    for split in SPLITS:
        clips = [clip for clip in corpus.clips if partition.split_of.get(clip.id) == split]
        if split == "train" and experiment.paired_only:
            clips = [clip for clip in clips if clip.audio is not None and clip.visual is not None]
        if clips:
            splits[split] = FeatureSet(cache, corpus, clips)
    if "train" not in splits:
        raise ConfigError(f"{partition.name}: no clip to train on{' has both modalities' * experiment.paired_only}")
    return Material(corpus, partition, splits)


def model_for(preset: str, corpus: Corpus, cache: FeatureCache, **changes: object) -> VavlConfig:
    """A preset's configuration, adapted to the task of a corpus and the widths of a feature cache.

    Args:
        preset: A name in `vavl.config.PRESETS`.
        corpus: Gives task, labels and scale.
        cache: Gives feature widths and waveform normalisation.
        **changes: Fields that replace the above.

    Raises:
        ConfigError: There is no such preset.
    """
    if preset not in PRESETS:
        raise ConfigError(f"preset {preset!r}: expected one of {', '.join(PRESETS)}")
    found: dict[str, object] = {
        "task": corpus.task,
        "labels": corpus.labels,
        "scale": corpus.scale,
        "audio_dim": cache.identity.dims["audio"],
        "visual_dim": cache.identity.dims["visual"],
        "waveform_normalization": cache.identity.recipe["waveform_normalization"],
    }
    return PRESETS[preset](**{**found, **changes})

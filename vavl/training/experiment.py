"""One training run described completely: corpus, partition, features, model, settings. A run folder keeps it."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import torch
from pydantic import Field, ValidationError

from vavl.checkpoint import Checkpoint, CheckpointDescription, save_checkpoint
from vavl.config import Positive, StrictModel, VavlConfig, light_config, paper_config
from vavl.corpora import Corpus, Partition, make_partitions, open_corpus
from vavl.corpora.checks import Problem
from vavl.corpora.corpus import SPLITS, Split
from vavl.corpora.opening import leave_out
from vavl.errors import ConfigError
from vavl.features.cache import FeatureCache
from vavl.model import Vavl
from vavl.systems import BASELINES
from vavl.systems.system import Shape, System
from vavl.systems.vavl import VavlSystem
from vavl.training.dataset import FeatureSet
from vavl.training.fit import FitSettings, Progress, fit
from vavl.training.run_folder import RunFolder

PRESETS: dict[str, Callable[..., VavlConfig]] = {"paper": paper_config, "light": light_config}
CHECKPOINT = "checkpoint"
SETTINGS = "settings.json"


class CorpusChoice(StrictModel):
    """Which corpus: kind and folder as in ``docs/corpora.md``, and whether bad clips are left out."""

    kind: str
    folder: str
    skip_bad: bool = False


class PartitionChoice(StrictModel):
    """Which partition of the corpus.

    Attributes:
        number: 1, 2, …; or ``all`` to train on every clip, with nothing to choose or test by.
        seed: Of the partitions that are made where the corpus ships none.
        count: How many are made.
    """

    number: Annotated[int, Field(ge=1)] | Literal["all"] = 1
    seed: int = 0
    count: Positive = 5


class Experiment(StrictModel):
    """Everything that a run depends on.

    Attributes:
        corpus: The corpus.
        partition: Its partition.
        features: Folder of the feature cache.
        model: VAVL's configuration; baselines take their own sizes and only its task and widths.
        system: ``vavl`` or the name of a baseline.
        sizes: Sizes of baselines that differ from their papers', by name and keyword.
        paired_only: Train on clips with both modalities alone, to see what the others are worth.
        alpha: Weight of VAVL's reconstruction loss; None is the task's default (D24).
        fit: How to train.
    """

    corpus: CorpusChoice
    partition: PartitionChoice = PartitionChoice()
    features: str
    model: VavlConfig
    system: str = "vavl"
    sizes: dict[str, dict[str, Positive]] = Field(default_factory=dict)
    paired_only: bool = False
    alpha: Annotated[float, Field(ge=0)] | None = None
    fit: FitSettings = FitSettings()

    @classmethod
    def read(cls, run: Path) -> "Experiment":
        """Read what a run folder was made by.

        Raises:
            ConfigError: It is not a run folder.
        """
        try:
            return cls.model_validate_json((run / SETTINGS).read_text("utf-8"))
        except (OSError, ValidationError) as error:
            raise ConfigError(f"{run}: not a run folder of vavl-train fit ({error})") from error


def create_experiment(**values: object) -> Experiment:
    """Build an experiment from JSON values.

    Raises:
        ConfigError: A value is wrong; all are listed.
    """
    try:
        return Experiment.model_validate(values)
    except ValidationError as error:
        listed = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        raise ConfigError(f"experiment: {listed}") from error


@dataclass(frozen=True)
class Material:
    """The corpus with the features of each split.

    Attributes:
        corpus: The corpus.
        partition: The partition in use.
        splits: Features by split; a split without clips is left out.
    """

    corpus: Corpus
    partition: Partition
    splits: dict[Split, FeatureSet]

    def speakers(self, split: Split) -> tuple[str, ...]:
        """Speakers of a split, sorted."""
        return tuple(
            sorted({clip.speaker for clip in self.corpus.clips if self.partition.split_of.get(clip.id) == split})
        )


def partitions_of(corpus: Corpus, seed: int, count: int) -> tuple[Partition, ...]:
    """The partitions that a corpus ships, or speaker-independent ones made for it."""
    return corpus.partitions or make_partitions(corpus, count, seed)


def choose_partition(corpus: Corpus, choice: PartitionChoice) -> Partition:
    """Pick a partition.

    Raises:
        ConfigError: There is no such partition.
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
        choice: The corpus; with ``skip_bad`` clips that could not be extracted are left out like other bad ones.
        features: Folder of the cache.

    Returns:
        The corpus, and the cache, open for reading.

    Raises:
        CorpusError: The corpus is bad.
        ConfigError: There is no cache, it holds raw material instead of features, or nothing of this corpus.
    """
    corpus = open_corpus(choice.kind, choice.folder, skip_bad=choice.skip_bad)
    cache = FeatureCache(features)
    if "raw" in cache.identity.encoders.values():
        raise ConfigError(f"{features}: holds sound and face crops, not features; make those with vavl-train features")
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
        CorpusError: The corpus is bad.
        ConfigError: The partition does not exist or leaves nothing to train on, or features are missing or of other
            widths than the model's.
    """
    corpus, cache = open_corpus_and_cache(experiment.corpus, Path(experiment.features))
    partition = choose_partition(corpus, experiment.partition)
    model = experiment.model
    if cache.identity.dims != {"audio": model.audio_dim, "visual": model.visual_dim}:
        raise ConfigError(
            f"{experiment.features}: features of widths {cache.identity.dims}, the model takes "
            f"{model.audio_dim} and {model.visual_dim}"
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
    """A preset's configuration with the task of a corpus and the widths of a feature cache.

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


def check_system(experiment: Experiment) -> None:
    """Refuse a system whose sizes do not fit together, without making it.

    Raises:
        ConfigError: There is no such system, or none of these sizes.
    """
    with torch.device("meta"):
        build_system(experiment)


def build_system(experiment: Experiment) -> System:
    """Make the system of an experiment, with random weights.

    Raises:
        ConfigError: There is no such system, or none of these sizes.
    """
    model = experiment.model
    if experiment.system == "vavl":
        return VavlSystem(Vavl(model), experiment.alpha)
    if experiment.system not in BASELINES:
        raise ConfigError(f"system {experiment.system!r}: expected vavl or one of {', '.join(BASELINES)}")
    shape = Shape(model.task, len(model.labels), model.audio_dim, model.visual_dim)
    sizes = {"config": model} if experiment.system == "unimodal" else experiment.sizes.get(experiment.system, {})
    system = BASELINES[experiment.system](shape, **sizes)
    system.task = shape.task
    return system


def run_experiment(
    experiment: Experiment,
    folder: Path,
    *,
    material: Material | None = None,
    restart: bool = False,
    accelerator: str = "auto",
    devices: int | str = 1,
    progress: Progress | None = None,
    command: str = "",
) -> System:
    """Train what an experiment describes, or finish a run that was interrupted.

    Args:
        experiment: What to do.
        folder: The run folder; for VAVL it gets a ``checkpoint`` that ``vavl-export`` takes.
        material: What `open_material` gives for this experiment, if it is open already.
        restart: Forget an earlier run in the folder.
        accelerator: Of Lightning Fabric.
        devices: Of Lightning Fabric.
        progress: Told the history line of every epoch.
        command: Goes into the checkpoint's provenance.

    Returns:
        The trained system.

    Raises:
        VavlError: Anything wrong with corpus, features or settings.
    """
    material = material or open_material(experiment)
    check_system(experiment)  # before the folder becomes that of this run
    run = RunFolder(folder, experiment.model_dump(mode="json"), restart=restart)
    system = fit(
        lambda: build_system(experiment),
        material.splits["train"],
        material.splits.get("development"),
        experiment.fit,
        run,
        accelerator=accelerator,
        devices=devices,
        progress=progress,
    )
    if isinstance(system, VavlSystem):
        identity = FeatureCache(Path(experiment.features)).identity
        description = CheckpointDescription(
            model=experiment.model,
            audio_encoder=reference_from(identity.references["audio"], folder / CHECKPOINT),
            face_encoder=reference_from(identity.references["visual"], folder / CHECKPOINT),
            audio_encoder_sha256=identity.encoders["audio"],
            face_encoder_sha256=identity.encoders["visual"],
            trained=True,
            provenance=f"{command or 'vavl-train fit'}; corpus {material.corpus.name}, partition "
            f"{material.partition.name}, speakers {', '.join(material.speakers('train'))}",
        )
        save_checkpoint(Checkpoint(system.model, description), folder / CHECKPOINT)
    return system


def reference_from(reference: str, checkpoint: Path) -> str:
    """A local encoder folder or file as seen from a checkpoint folder, anything else as it is."""
    path = Path(reference)
    return os.path.relpath(path.resolve(), checkpoint.resolve()) if path.exists() else reference


def load_trained(experiment: Experiment, folder: Path) -> System:
    """Load the chosen weights of a finished run, in evaluation mode.

    Raises:
        ConfigError: The run has not finished its epochs.
    """
    run = RunFolder(folder, experiment.model_dump(mode="json"))
    state = run.load_state()
    if state is None or state.epochs_done < experiment.fit.epochs:
        done = state.epochs_done if state else 0
        raise ConfigError(f"{folder}: {done} of {experiment.fit.epochs} epochs are done; finish it with vavl-train fit")
    system = build_system(experiment)
    system.load_state_dict(run.load_best())
    system.eval()
    return system


def targets_of(data: FeatureSet, clips: Sequence[str]) -> list[list[float]]:
    """Targets of clips, in their order."""
    known = {example.clip: example.target.astype(float).tolist() for example in data.examples}
    return [known[clip] for clip in clips]

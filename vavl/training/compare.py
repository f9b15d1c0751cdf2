"""Compares VAVL, its ablations and the baselines on the same features, partitions and seeds."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch

from vavl.evaluation.comparison import ComparisonResults, Role, Run, SystemResults, average_cosine_distance
from vavl.evaluation.metrics import path_metrics
from vavl.evaluation.provenance import provenance
from vavl.systems import BASELINES, Baseline
from vavl.systems.system import System
from vavl.training.dataset import FeatureSet
from vavl.training.evaluate import predict_partition
from vavl.training.experiment import Experiment
from vavl.training.material import Material, open_corpus_and_cache, open_material, partitions_of
from vavl.training.predict import BATCH
from vavl.training.run import check_experiment, run_experiment

ABLATIONS: Mapping[str, dict[str, object]] = {
    "Ablation 1: no residual": {"residual": False},
    "Ablation 2: no reconstruction": {"reconstruction": False},
    "Ablation 3: no audio-visual layer": {"audio_visual_head": False},
}
COMMON_CHOICES = (
    "schedule: every system is trained with the same schedule (§4.3 unless the settings differ)",
    "selection: every system keeps the epoch with the best development score: of the audio-visual path if it has one, "
    "otherwise the mean over its paths",
    "features: the same cache, z-normalised with the training set's statistics (D13)",
    "ablation 3: the audio-visual prediction is the mean of the two unimodal predictions",
)
Progress = Callable[[str, str, int], None]  # system, partition, seed


def plan(base: Experiment) -> list[tuple[str, Role, Experiment]]:
    """Plan the experiment of every system.

    Args:
        base: VAVL's experiment.

    Returns:
        Name, role and experiment of each system, with the partition and the seed of the base.
    """
    planned: list[tuple[str, Role, Experiment]] = [("VAVL", "vavl", base)]
    planned += [(name, "baseline", base.model_copy(update={"system": name})) for name in BASELINES]
    for name, changes in ABLATIONS.items():
        model = base.model.model_copy(update=changes)
        planned.append((name, "ablation", base.model_copy(update={"model": model})))
    return planned


def compare(
    base: Experiment,
    folder: Path,
    *,
    seeds: int,
    command: str,
    accelerator: str = "auto",
    progress: Progress | None = None,
) -> ComparisonResults:
    """Train and test every system on every partition. Finished runs are not trained again.

    Args:
        base: VAVL's experiment; its partition number is ignored.
        folder: Where the results go; run folders go into its subfolder ``runs``.
        seeds: Number of training seeds per partition, counted from the seed of the base.
        command: The command line, for the results.
        accelerator: ``auto``, ``cpu`` or ``cuda``, as in Lightning Fabric.
        progress: Called with system, partition and seed before each run.

    Returns:
        The results of all systems.

    Raises:
        VavlError: The corpus, the features or the settings are wrong.
    """
    planned_systems = plan(base)
    for _, _, planned in planned_systems:
        check_experiment(planned)
    corpus, _ = open_corpus_and_cache(base.corpus, Path(base.features))
    count = len(partitions_of(corpus, base.partition.seed, base.partition.count))
    partitions = [base.partition.model_copy(update={"number": number}) for number in range(1, count + 1)]
    materials = [open_material(base.model_copy(update={"partition": partition})) for partition in partitions]
    systems, choices = [], list(COMMON_CHOICES)
    for name, role, planned in planned_systems:
        runs = []
        for partition, material in zip(partitions, materials, strict=True):
            for seed in range(base.fit.seed, base.fit.seed + seeds):
                settings = planned.fit.model_copy(update={"seed": seed})
                experiment = planned.model_copy(update={"partition": partition, "fit": settings})
                if progress is not None:
                    progress(name, material.partition.name, seed)
                place = folder / "runs" / _folder_name(name) / f"partition{partition.number}-seed{seed}"
                system = run_experiment(experiment, place, material=material, accelerator=accelerator, command=command)
                runs.append(_run(system, material, seed))
        if isinstance(system, Baseline):
            choices += _choices(system)
        title = system.name if role == "baseline" else name
        systems.append(SystemResults(name=title, role=role, parameters=_size(system), runs=tuple(runs)))
    return ComparisonResults.create(
        corpus=corpus.name,
        task=corpus.task,
        labels=corpus.labels,
        provenance=provenance(command, {"partitions": base.partition.seed, "training": base.fit.seed}),
        choices=tuple(choices),
        systems=tuple(systems),
    )


def _choices(system: Baseline) -> list[str]:
    """The decisions on a baseline, one line each, with the value of those that are constructor keywords."""
    values = {topic: f" {system.chosen[topic]}" if topic in system.chosen else "" for topic in system.choices}
    return [f"{system.name}, {topic}{values[topic]}: {text}" for topic, text in system.choices.items()]


def _size(system: System) -> int:
    """Number of parameters that training updates."""
    return sum({id(p): p.numel() for group in system.parameter_steps().values() for p in group}.values())


def _run(system: System, material: Material, seed: int) -> Run:
    predictions = predict_partition(system, material)
    metrics = {
        path: path_metrics(material.corpus.task, material.corpus.labels, splits.test.prediction, splits.test.target)
        for path, splits in predictions.paths.items()
    }
    return Run(
        partition=material.partition.name,
        seed=seed,
        metrics=metrics,
        cosine_distance=_cosine_distance(system, material.splits["test"]),
    )


def _cosine_distance(system: System, data: FeatureSet) -> float | None:
    device = next(system.parameters()).device
    pairs = []
    with torch.inference_mode():
        for _, batch in data.ordered(BATCH):
            found = system.shared_embeddings(batch.to(device))
            if found is not None and len(found[0]):
                pairs.append([embedding.double().cpu().numpy() for embedding in found])
    if not pairs:
        return None
    audio, visual = (np.concatenate([pair[side] for pair in pairs]) for side in (0, 1))
    return average_cosine_distance(audio, visual)


def _folder_name(name: str) -> str:
    return "".join(character if character.isalnum() else "-" for character in name.lower()).strip("-")

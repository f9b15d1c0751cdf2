"""Evaluates finished runs: predicts their development and test sets by every path and builds one report."""

from collections.abc import Sequence
from operator import attrgetter
from pathlib import Path

import numpy as np

from vavl.errors import ConfigError
from vavl.evaluation.predictions import (
    CorpusPredictions,
    PartitionPredictions,
    PathPredictions,
    Speakers,
    SplitPredictions,
)
from vavl.evaluation.provenance import provenance
from vavl.evaluation.report import EvaluationReport, build_report
from vavl.systems.system import System
from vavl.training.dataset import FeatureSet
from vavl.training.experiment import Experiment
from vavl.training.material import Material, open_material
from vavl.training.predict import predict
from vavl.training.run import load_trained
from vavl_runtime.bundle.manifest import PathName


def evaluate_runs(folders: Sequence[Path], command: str) -> EvaluationReport:
    """Evaluate runs of different partitions of one corpus.

    Args:
        folders: Folders of finished runs, one per partition.
        command: The command line, for the report.

    Returns:
        One report over all of them.

    Raises:
        ConfigError: No folder is given, a run is unfinished or has no test set, or the runs differ in corpus, partition
            seed or system.
    """
    if not folders:
        raise ConfigError("evaluate: name at least one run folder")
    experiments = [Experiment.read(folder) for folder in folders]
    first = experiments[0]
    for folder, experiment in zip(folders, experiments, strict=True):
        for what in ("corpus", "partition.seed", "system"):
            if attrgetter(what)(experiment) != attrgetter(what)(first):
                raise ConfigError(f"{folder}: another {what} than {folders[0]}; evaluate them separately")
    partitions = []
    for folder, experiment in zip(folders, experiments, strict=True):
        material = open_material(experiment)
        partitions.append(predict_partition(load_trained(experiment, folder), material))
    seeds = {"partitions": first.partition.seed, "training": first.fit.seed}
    predictions = CorpusPredictions.create(
        corpus=material.corpus.name,
        task=material.corpus.task,
        labels=material.corpus.labels,
        partitions=tuple(partitions),
        scale=material.corpus.scale if material.corpus.task == "regression" else None,
    )
    return build_report(predictions, provenance(command, seeds))


def predict_partition(system: System, material: Material) -> PartitionPredictions:
    """Predict the development and test sets of one partition by every path.

    Raises:
        ConfigError: The partition has no development or no test set.
    """
    for split in ("development", "test"):
        if split not in material.splits:
            raise ConfigError(f"{material.partition.name}: no {split} set, so there is nothing to evaluate")
    development = _predict(system, material.splits["development"])
    test = _predict(system, material.splits["test"])
    return PartitionPredictions(
        name=material.partition.name,
        speakers=Speakers(
            train=material.speakers("train"),
            development=material.speakers("development"),
            test=material.speakers("test"),
        ),
        paths={
            path: SplitPredictions(development=development[path], test=test[path])
            for path in system.paths
            if path in development and path in test
        },
    )


def _predict(system: System, data: FeatureSet) -> dict[PathName, PathPredictions]:
    targets = {example.clip: example.target.astype(np.float64) for example in data.examples}
    found: dict[PathName, PathPredictions] = {}
    for path, by_clip in predict(system, data).items():
        if by_clip:
            target = np.stack([targets[clip] for clip in by_clip])
            found[path] = PathPredictions(tuple(by_clip), np.stack(list(by_clip.values())), target)
    return found

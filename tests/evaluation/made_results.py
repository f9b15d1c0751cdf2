"""Small predictions and comparison results that tests share."""

import numpy as np

from vavl.evaluation.comparison import ComparisonResults, Role, Run, SystemResults
from vavl.evaluation.metrics import metric_names
from vavl.evaluation.predictions import (
    PATHS,
    CorpusPredictions,
    PartitionPredictions,
    PathPredictions,
    Speakers,
    SplitPredictions,
    Task,
)
from vavl.evaluation.provenance import Provenance
from vavl_runtime.bundle.manifest import PathName

CLASSES = ("calm", "glad", "cross")
ATTRIBUTES = ("arousal", "valence")
PROVENANCE = Provenance(command="vavl-train evaluate", seeds={"training": 3}, versions={"python": "3.11"})


def shares(classes: list[int], outputs: int = 3, sureness: float = 1.0) -> np.ndarray:
    """Rows that give a class its share and the others the rest."""
    rest = (1.0 - sureness) / (outputs - 1)
    return np.where(np.eye(outputs)[classes] > 0, sureness, rest)


def clips_of(count: int) -> tuple[str, ...]:
    return tuple(f"clip{index}" for index in range(count))


def class_predictions(predicted: list[int], true: list[int], sureness: float = 0.8) -> PathPredictions:
    return PathPredictions(clips_of(len(true)), shares(predicted, sureness=sureness), shares(true))


def speakers(test: str = "03") -> Speakers:
    return Speakers(train=("01",), development=("02",), test=(test,))


def made_predictions(task: Task = "classification") -> CorpusPredictions:
    """Two partitions; the audio-visual path is right more often than the others; the second lacks the visual path."""
    rng = np.random.default_rng(5)
    partitions = []
    for index, name in enumerate(("partition 1", "partition 2")):
        paths = {}
        for path in PATHS if index == 0 else PATHS[:2]:
            splits = {}
            for split in ("development", "test"):
                true = rng.integers(0, 3, 30)
                noise = {"audio_visual": 0.2, "audio": 0.4, "visual": 0.5}[path]
                if task == "classification":
                    predicted = np.where(rng.random(30) < noise, rng.integers(0, 3, 30), true)
                    splits[split] = class_predictions(predicted.tolist(), true.tolist(), sureness=0.98)
                else:
                    target = rng.random((30, 2))
                    prediction = target + noise * rng.normal(size=(30, 2))
                    splits[split] = PathPredictions(clips_of(30), prediction, target)
            paths[path] = SplitPredictions(**splits)
        partitions.append(PartitionPredictions(name=name, speakers=speakers(f"0{index + 3}"), paths=paths))
    return CorpusPredictions.create(
        corpus="made",
        task=task,
        labels=CLASSES if task == "classification" else ATTRIBUTES,
        partitions=tuple(partitions),
    )


def system(
    name: str,
    role: Role,
    values: dict[PathName, list[float]],
    distance: float | None = None,
    task: Task = "classification",
    seeds: int = 1,
) -> SystemResults:
    """Runs with the given value of every metric in each partition; seeds differ, but not in their mean."""
    labels = CLASSES if task == "classification" else ATTRIBUTES
    offsets = [0.01 * (seed - (seeds - 1) / 2) for seed in range(seeds)]
    runs = tuple(
        Run(
            partition=f"partition {index + 1}",
            seed=seed,
            metrics={
                path: dict.fromkeys(metric_names(task, labels), numbers[index] + offset)
                for path, numbers in values.items()
            },
            cosine_distance=distance,
        )
        for index in range(len(next(iter(values.values()))))
        for seed, offset in enumerate(offsets)
    )
    return SystemResults(name=name, role=role, parameters=1000, runs=runs)


def made_comparison(**changes: object) -> ComparisonResults:
    """VAVL is clearly better by audio-visual, unclear by audio, worse than one by visual."""
    base = [0.50, 0.52, 0.54]
    ours = {path: base for path in PATHS}
    values: dict[str, object] = {
        "corpus": "made",
        "task": "classification",
        "labels": CLASSES,
        "provenance": PROVENANCE,
        "choices": ("MulT: 30-D, 5 heads",),
        "systems": (
            system("VAVL", "vavl", ours, 0.8, seeds=2),
            system(
                "UAVM",
                "baseline",
                {"audio_visual": [0.40, 0.43, 0.44], "audio": [0.40, 0.43, 0.44], "visual": [0.40, 0.43, 0.44]},
                0.1,
                seeds=2,
            ),
            system("MulT", "baseline", {"audio_visual": [0.30, 0.33, 0.34]}, seeds=2),
            system("Unimodal (A)", "baseline", {"audio": [0.40, 0.60, 0.50]}, seeds=2),
            system("Unimodal (V)", "baseline", {"visual": [0.60, 0.63, 0.64]}, seeds=2),
            system("Ablation 3", "ablation", {path: [0.51, 0.50, 0.55] for path in PATHS}, 0.7, seeds=2),
        ),
    }
    return ComparisonResults.create(**{**values, **changes})

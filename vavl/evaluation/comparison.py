"""Results of all systems on one corpus, with their means, significance marks and embedding distances."""

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
import sklearn.preprocessing
from numpy.typing import ArrayLike
from pydantic import Field, model_validator
from typing_extensions import Self

from vavl.config import StrictModel, Task
from vavl.evaluation.metrics import metric_names
from vavl.evaluation.predictions import Floats
from vavl.evaluation.provenance import Provenance
from vavl.evaluation.record import JsonRecord
from vavl.evaluation.statistics import independent_t_test, paired_t_test, star
from vavl_runtime.bundle.manifest import PathName
from vavl_runtime.errors import InvalidArrayError

Role = Literal["vavl", "baseline", "ablation"]
Test = Literal["paired", "independent"]
Column = tuple[PathName, str]


class Run(StrictModel):
    """One training run of one system.

    Attributes:
        partition: Name of the partition.
        seed: Training seed.
        metrics: Test metrics by path; paths that the system does not define are left out.
        cosine_distance: See `average_cosine_distance`, over the test clips with both modalities; None for a system
            without shared layers.
    """

    partition: str
    seed: int
    metrics: dict[PathName, dict[str, float]]
    cosine_distance: Annotated[float, Field(ge=0, le=2)] | None = None


class SystemResults(StrictModel):
    """All runs of one system.

    Attributes:
        name: Name in tables.
        role: ``vavl`` for the full model, ``baseline`` for rows of Table 1, ``ablation`` for rows of Table 2.
        parameters: Number of trained parameters.
        runs: One for each partition and seed.
    """

    name: str
    role: Role
    parameters: Annotated[int, Field(gt=0)]
    runs: tuple[Run, ...]

    def per_partition(self, path: PathName, metric: str) -> list[float] | None:
        """One metric in each partition, in order of their names; None if the system does not define the metric.

        Seeds are averaged within their partition. They share its clips, so they are not independent observations.
        """
        return self._averaged([run.metrics.get(path, {}).get(metric) for run in self.runs])

    def cosine_distances(self) -> list[float] | None:
        """The distance of the shared embeddings in each partition; see `per_partition`."""
        return self._averaged([run.cosine_distance for run in self.runs])

    def _averaged(self, values: Sequence[float | None]) -> list[float] | None:
        by_partition: dict[str, list[float]] = {}
        for run, value in zip(self.runs, values, strict=True):
            if value is None:
                return None
            by_partition.setdefault(run.partition, []).append(value)
        return [float(np.mean(by_partition[partition])) for partition in sorted(by_partition)]


class ComparisonResults(JsonRecord):
    """The data of the paper's Table 1, Table 2 and Figure 2.

    Attributes:
        schema_version: Version of this record's format.
        corpus: Name of the corpus.
        task: ``classification`` or ``regression``.
        labels: Class or attribute names.
        provenance: Command, seeds, versions.
        choices: Decisions on what the paper and the released code leave open; printed below the tables.
        test: ``paired`` by partition, or ``independent`` samples (see `vavl.evaluation.statistics`).
        systems: In the order of the rows: one with the role ``vavl``, and others with the same partitions and seeds.
    """

    schema_version: Literal[1] = 1
    corpus: str
    task: Task
    labels: tuple[str, ...]
    provenance: Provenance
    choices: tuple[str, ...]
    test: Test = "paired"
    systems: tuple[SystemResults, ...]

    @model_validator(mode="after")
    def _comparable(self) -> Self:
        problems = []
        names = [system.name for system in self.systems]
        if len(set(names)) < len(names):
            problems.append(f"systems {names} must have distinct names")
        if len(full := [system for system in self.systems if system.role == "vavl"]) != 1:
            problems.append(f"got {len(full)} systems with the role vavl, expected one to compare the others with")
        for system in self.systems:
            problems += self._problems(system, [*full, *self.systems][0])
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _problems(self, system: SystemResults, reference: SystemResults) -> list[str]:
        runs, expected = (sorted((run.partition, run.seed) for run in s.runs) for s in (system, reference))
        if not runs or len(set(runs)) < len(runs):
            return [f"{system.name}: got the runs {runs}, expected at least one and each partition and seed once"]
        problems = []
        if runs != expected:
            different = sorted(set(runs) ^ set(expected))
            problems.append(
                f"{system.name}: its (partition, seed) runs differ from those of {reference.name} by {different}; "
                "finish the missing runs first"
            )
        metrics = set(metric_names(self.task, self.labels))
        for run in system.runs:
            if run.metrics.keys() != system.runs[0].metrics.keys():
                problems.append(f"{system.name}: {run.partition}, seed {run.seed} has other paths than its first run")
            for path, values in run.metrics.items():
                if values.keys() != metrics:
                    problems.append(
                        f"{system.name}: {run.partition}, seed {run.seed}, {path} has the metrics {sorted(values)}, "
                        f"expected {sorted(metrics)}"
                    )
        return problems

    @property
    def vavl(self) -> SystemResults:
        """The full model."""
        return next(system for system in self.systems if system.role == "vavl")

    def those(self, role: Role) -> tuple[SystemResults, ...]:
        """The systems that have a role, in order."""
        return tuple(system for system in self.systems if system.role == role)

    def p_value(self, other: SystemResults, column: Column) -> float | None:
        """Two-tailed p-value of equal means of VAVL and another system; None if one of them lacks the column."""
        ours, theirs = self.vavl.per_partition(*column), other.per_partition(*column)
        if ours is None or theirs is None:
            return None
        return (paired_t_test if self.test == "paired" else independent_t_test)(ours, theirs)

    def star(self, column: Column) -> str:
        """The paper's ``*``: VAVL is significantly better than every baseline that has the column.

        The paper's caption says "significantly better than the other baselines". So there is no star if one baseline
        has a larger mean or no significant difference, or if there is no baseline.
        """
        ours = self.vavl.per_partition(*column)
        rivals = [(system, system.per_partition(*column)) for system in self.those("baseline")]
        defined = [(system, theirs) for system, theirs in rivals if theirs is not None]
        if ours is None or not defined:
            return ""
        better = (np.mean(ours) > np.mean(theirs) and star(self.p_value(system, column)) for system, theirs in defined)
        return "*" if all(better) else ""


def average_cosine_distance(audio: ArrayLike, visual: ArrayLike) -> float:
    """Mean over clips of 1 - cos of the acoustic and the visual embedding from the shared layers (paper §5.3).

    Args:
        audio: Embeddings, shape (N, D).
        visual: Embeddings of the same clips, shape (N, D).

    Returns:
        The distance in [0, 2]. A clip with an embedding of zeros counts as 1, as if both were perpendicular.

    Raises:
        InvalidArrayError: The shapes differ or are not (N, D), there are no clips, or values are NaN or infinite.
    """
    directions: list[Floats] = []
    for name, embedding in (("acoustic", audio), ("visual", visual)):
        array = np.asarray(embedding, dtype=np.float64)
        if array.ndim != 2 or 0 in array.shape or not np.isfinite(array).all():
            raise InvalidArrayError(f"{name} embeddings: got shape {array.shape}, expected finite (clips, width)")
        directions.append(sklearn.preprocessing.normalize(array))
    if directions[0].shape != directions[1].shape:
        raise InvalidArrayError(
            f"embeddings: got {directions[0].shape} acoustic and {directions[1].shape} visual ones, expected the same "
            "clips and width"
        )
    return float(np.clip(1.0 - (directions[0] * directions[1]).sum(axis=1), 0.0, 2.0).mean())

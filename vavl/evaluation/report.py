"""The evaluation of one system on one corpus, per partition and path and over all partitions."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from vavl.config import StrictModel, Task
from vavl.evaluation.agreement import Agreement, agreement
from vavl.evaluation.calibration import (
    ReliabilityBin,
    apply_temperature,
    expected_calibration_error,
    fit_temperature,
    reliability,
)
from vavl.evaluation.metrics import chance_level, class_recall, confusion_matrix, metric_names, path_metrics
from vavl.evaluation.predictions import PATHS, CorpusPredictions, Speakers, SplitPredictions
from vavl.evaluation.provenance import Provenance
from vavl.evaluation.record import JsonRecord
from vavl.evaluation.statistics import mean_and_deviation, one_sample_t_test
from vavl_runtime.bundle.manifest import PathName

Count = Annotated[int, Field(ge=0)]
UNIT = (0.0, 1.0)  # of predictions that were written without the scale of their annotations


class Calibration(StrictModel):
    """Calibration on the test set, before and after temperature scaling.

    Attributes:
        temperature: Temperature fitted on the development set.
        ece_before: Expected calibration error before scaling.
        ece_after: Expected calibration error after scaling.
        before: Reliability before scaling.
        after: Reliability after scaling.
    """

    temperature: Annotated[float, Field(gt=0)]
    ece_before: float
    ece_after: float
    before: tuple[ReliabilityBin, ...]
    after: tuple[ReliabilityBin, ...]


class PathReport(StrictModel):
    """Results of one path on the test set of one partition.

    Attributes:
        clips: Number of clips.
        metrics: Metrics by name; see `vavl.evaluation.metrics.metric_names`.
        confusion: Clips by true class (row) and predicted class (column); None for attributes.
        recall: Recall by class, None for a class without clips; None as a whole for attributes.
        calibration: Calibration; None for attributes.
        attributes: How each attribute agrees with its annotations, by name; None for classes.
    """

    clips: Count
    metrics: dict[str, float]
    confusion: tuple[tuple[Count, ...], ...] | None = None
    recall: dict[str, float | None] | None = None
    calibration: Calibration | None = None
    attributes: dict[str, Agreement] | None = None


class PartitionReport(StrictModel):
    """Results of all paths in one partition."""

    name: str
    speakers: Speakers
    paths: dict[PathName, PathReport]


class Summary(StrictModel):
    """One metric over the partitions.

    Attributes:
        mean: Mean over partitions.
        deviation: Sample standard deviation (``ddof=1``), or None for a single partition.
        partitions: Number of partitions that have the metric.
        chance: Value of the metric by chance, if that is defined (see `vavl.evaluation.metrics.chance_level`).
        p: p-value of a two-tailed one-sample t-test against ``chance``; None without ``chance`` or with one partition.
    """

    mean: float
    deviation: float | None
    partitions: Count
    chance: float | None = None
    p: float | None = None


class EvaluationReport(JsonRecord):
    """The evaluation of one system on one corpus.

    Attributes:
        schema_version: Version of this record's format.
        corpus: Name of the corpus.
        task: ``classification`` or ``regression``.
        labels: Class or attribute names, in the order of rows, columns and metrics.
        provenance: Command, seeds, versions.
        partitions: Results of each partition.
        summary: By path and name: the metrics, and for classes ``ece_before``, ``ece_after`` and ``temperature``.
        scale: Lowest and highest attribute score of the annotations; None for classes.
    """

    schema_version: Literal[1] = 1
    corpus: str
    task: Task
    labels: tuple[str, ...]
    provenance: Provenance
    partitions: tuple[PartitionReport, ...]
    summary: dict[PathName, dict[str, Summary]]
    scale: tuple[float, float] | None = None

    @property
    def scale_text(self) -> str:
        """The scale in words, such as ``1 to 5``; empty for classes."""
        return f"{self.scale[0]:g} to {self.scale[1]:g}" if self.scale else ""

    def off_scale(self) -> tuple[str, ...]:
        """A sentence for each partition, path and attribute with predictions outside the annotation's scale."""
        return tuple(
            f"{partition.name}, {path.replace('_', '-')} path: {entry.off_scale} of {figures.clips} predictions of "
            f"{label} lie off the scale {self.scale_text}; they reach from {entry.lowest:.3g} to {entry.highest:.3g}"
            for partition in self.partitions
            for path, figures in partition.paths.items()
            for label, entry in (figures.attributes or {}).items()
            if entry.off_scale
        )

    def confusion(self, path: PathName) -> np.ndarray | None:
        """Confusion matrix of a path, summed over the partitions, int64 (C, C); None for attributes."""
        matrices = [p.paths[path].confusion for p in self.partitions if path in p.paths]
        counted = [np.asarray(matrix, dtype=np.int64) for matrix in matrices if matrix is not None]
        return np.sum(counted, axis=0) if counted else None


def build_report(predictions: CorpusPredictions, provenance: Provenance) -> EvaluationReport:
    """Compute a report.

    Args:
        predictions: Development and test predictions of every partition and path.
        provenance: Command, seeds and versions.

    Returns:
        The report on the test sets. The development sets are used only to fit the temperature.
    """
    task, labels = predictions.task, predictions.labels
    partitions = tuple(
        PartitionReport(
            name=partition.name,
            speakers=partition.speakers,
            paths={path: _path_report(predictions, partition.paths[path]) for path in PATHS if path in partition.paths},
        )
        for partition in predictions.partitions
    )
    summary: dict[PathName, dict[str, Summary]] = {}
    for path in PATHS:
        reports = [partition.paths[path] for partition in partitions if path in partition.paths]
        if reports:
            summary[path] = _summaries(task, labels, reports)
    return EvaluationReport.create(
        corpus=predictions.corpus,
        task=task,
        labels=labels,
        provenance=provenance,
        partitions=partitions,
        summary=summary,
        scale=(predictions.scale or UNIT) if task == "regression" else None,
    )


def _path_report(predictions: CorpusPredictions, splits: SplitPredictions) -> PathReport:
    task, labels = predictions.task, predictions.labels
    development, test = splits.development, splits.test
    metrics = path_metrics(task, labels, test.prediction, test.target)
    if task == "regression":
        entries = agreement(test.prediction, test.target, predictions.scale or UNIT)
        return PathReport(clips=len(test.clips), metrics=metrics, attributes=dict(zip(labels, entries, strict=True)))
    confusion = confusion_matrix(test.prediction, test.target)
    temperature = fit_temperature(development.prediction, development.target)
    scaled = apply_temperature(test.prediction, temperature)
    return PathReport(
        clips=len(test.clips),
        metrics=metrics,
        confusion=tuple(map(tuple, confusion.tolist())),
        recall=dict(zip(labels, class_recall(confusion), strict=True)),
        calibration=Calibration(
            temperature=temperature,
            ece_before=expected_calibration_error(test.prediction, test.target),
            ece_after=expected_calibration_error(scaled, test.target),
            before=reliability(test.prediction, test.target),
            after=reliability(scaled, test.target),
        ),
    )


def _summaries(task: Task, labels: Sequence[str], reports: Sequence[PathReport]) -> dict[str, Summary]:
    summaries = {
        name: _summary((report.metrics[name] for report in reports), chance_level(name, len(labels)))
        for name in metric_names(task, labels)
    }
    calibrations = [report.calibration for report in reports if report.calibration]
    if calibrations:
        for name in ("ece_before", "ece_after", "temperature"):
            summaries[name] = _summary(getattr(calibration, name) for calibration in calibrations)
    return summaries


def _summary(values: Iterable[float], chance: float | None = None) -> Summary:
    sample = list(values)
    mean, deviation = mean_and_deviation(sample)
    p = None if chance is None else one_sample_t_test(sample, chance)
    return Summary(mean=mean, deviation=deviation, partitions=len(sample), chance=chance, p=p)

"""Measures what a lower precision costs on a labelled corpus: changed labels, F1 or CCC, by path and by length."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
from pydantic import BaseModel, ConfigDict

from vavl.corpora import Corpus
from vavl.errors import ConfigError
from vavl.evaluation.metrics import path_metrics
from vavl_export import golden
from vavl_export.precision.mixed_precision import (
    ENCODERS,
    FP32,
    PATHS,
    Execution,
    MixedGraphs,
    MixedPredictions,
    OpenedGraph,
    PrecisionMix,
)
from vavl_export.precision.sessions import RUN_MODES, CheckedGraph
from vavl_export.precision.target_device import TargetDevice, TargetGraph
from vavl_export.progress import Progress
from vavl_runtime.bundle import Bundle
from vavl_runtime.bundle.manifest import LowPrecision, PathName, Precision
from vavl_runtime.errors import BackendUnavailableError, InputError

LENGTHS_S = (2.0, 4.0, 8.0, float("inf"))  # upper bounds of the bins by clip length
_CLIPS_PER_LINE = 50


class CorpusDrift(BaseModel):
    """Predictions of one path on a corpus, compared with those of its fp32 graphs on ONNX Runtime's CPU.

    Attributes:
        corpus: Name of the corpus.
        path: ``audio``, ``visual`` or ``audio_visual``.
        precision: Precision of encoders and path.
        how: ``run`` on ONNX Runtime's CPU, ``emulated``, or the backend that ran it, as the backend describes itself.
        from_s: Shortest length of the clips, seconds.
        up_to_s: Clips are shorter than this; infinite for all of them.
        clips: Clips that this path serves.
        flips: Clips whose most probable label changed; 0 for attributes.
        flip_margin: Among the changed labels, the largest lead in fp32 of the first label over the second; 0 without
            changes.
        distance: Mean absolute difference of probabilities or scores, over clips and labels.
        fp32: Metrics of the fp32 graphs: ``macro_f1`` and ``micro_f1``, or ``ccc_`` and the attribute.
        variant: Metrics of the variant.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="constants")

    corpus: str
    path: PathName
    precision: Precision
    how: str
    from_s: float
    up_to_s: float
    clips: int
    flips: int
    flip_margin: float
    distance: float
    fp32: dict[str, float]
    variant: dict[str, float]

    @property
    def overall(self) -> bool:
        """Whether this is over clips of all lengths."""
        return self.from_s == 0.0 and self.up_to_s == float("inf")

    @property
    def name(self) -> str:
        """What was measured, in a few words."""
        length = "" if self.overall else f", {self.from_s:g} to {self.up_to_s:g} s"
        return f"{self.corpus} {self.path} {self.precision} ({self.how}{length})"

    @property
    def loss(self) -> float:
        """The largest loss of a metric that the paper reports."""
        return max(value - self.variant[name] for name, value in self.fp32.items() if name != "micro_f1")

    @property
    def passed(self) -> bool:
        """Whether flips and loss are within `golden.FLIPS` and `golden.METRIC_LOSS`."""
        few = self.flips <= golden.FLIPS[self.precision] * self.clips
        return few and self.loss <= golden.METRIC_LOSS[self.precision]

    def describe(self) -> str:
        """Describe the drift in one line."""
        changes = ", ".join(f"{name} {value:.4f} -> {self.variant[name]:.4f}" for name, value in self.fp32.items())
        if "macro_f1" in self.fp32:
            share = f"{self.flips} of {self.clips} labels flip ({100 * self.flips / self.clips:.2f} %"
            share += f", margins up to {self.flip_margin:.1e})" if self.flips else ")"
        else:  # attributes have no labels
            share = f"{self.clips} clips"
        return f"{share}, {changes}, mean distance {self.distance:.1e}"


@dataclass(frozen=True)
class _Predicted:
    """Predictions for one clip in every precision, and its annotation, in the order of the bundle's labels."""

    predictions: MixedPredictions
    annotation: tuple[float, ...]


def corpus_drift(
    bundle: Bundle, corpus: Corpus, progress: Progress, target: TargetDevice | None = None
) -> list[CorpusDrift]:
    """Predict for a corpus in every precision that a bundle has, and compare with fp32.

    Args:
        bundle: The bundle.
        corpus: Clips with labels among the bundle's.
        progress: Called with a line of text for each clip that cannot be read and each precision that the target lacks,
            and every few clips.
        target: Runs encoders and paths, in fp32 too. Face detection, and the predictions to compare with, run on ONNX
            Runtime's CPU. Without a target, everything runs there.

    Returns:
        One result for each path, precision and way of running it, over all lengths; then the same by length.

    Raises:
        ConfigError: The corpus has another task, labels that the bundle lacks, another scale, or no readable clip.
        BackendUnavailableError: The target lacks graphs in every precision, or fails.
    """
    columns = label_columns(bundle, corpus)
    executions = _executions(bundle) if target is None else _target_executions(bundle, target, progress)
    mixes = [PrecisionMix.uniform(execution) for execution in executions]
    graphs = MixedGraphs(bundle.manifest, mixes, partial(_open_graph, bundle, target))
    predicted: list[_Predicted] = []
    for number, clip in enumerate(corpus.clips, 1):
        try:
            annotation = tuple(clip.target[column] if column >= 0 else 0.0 for column in columns)
            predicted.append(_Predicted(graphs.predict(clip), annotation))
        except InputError as error:
            progress(f"skipping a clip: {error}")
        if number % _CLIPS_PER_LINE == 0:
            progress(f"{number} of {len(corpus.clips)} clips")
    if not predicted:
        raise ConfigError(f"corpus {corpus.name}: none of its clips can be read")
    results = []
    for start, end in ((0.0, LENGTHS_S[-1]), *pairwise((0.0, *LENGTHS_S))):
        within = [clip for clip in predicted if start <= clip.predictions.seconds < end]
        for execution, mix in zip(executions[1:], mixes[1:], strict=True):
            for path in PATHS:
                clips = [clip for clip in within if (path, mix) in clip.predictions.scores]
                if clips:
                    how = str(target.choose(execution[0]).backend.info) if target is not None else execution[1]
                    results.append(_compare(bundle, corpus.name, path, execution, how, (start, end), clips))
    return results


def label_columns(bundle: Bundle, corpus: Corpus) -> list[int]:
    """Find each label of a bundle among the labels of a corpus.

    Args:
        bundle: The bundle.
        corpus: The corpus.

    Returns:
        For each of the bundle's labels its index in the corpus; -1 for classes without clips in the corpus.

    Raises:
        ConfigError: The corpus has another task, labels that the bundle lacks, or another scale.
    """
    manifest = bundle.manifest
    unknown = [label for label in corpus.labels if label not in manifest.labels]
    missing = [label for label in manifest.labels if label not in corpus.labels]
    if corpus.task != manifest.task or unknown or (missing and manifest.task == "regression"):
        raise ConfigError(
            f"corpus {corpus.name}: {corpus.task} of {', '.join(corpus.labels)}; the bundle does {manifest.task} of "
            f"{', '.join(manifest.labels)}; choose a corpus with these labels"
        )
    if manifest.task == "regression" and corpus.scale != manifest.scale:
        came, expected = (f"{low:g} to {high:g}" for low, high in (corpus.scale, manifest.scale))
        raise ConfigError(
            f"corpus {corpus.name}: its scores go from {came}, those of the bundle from {expected}; CCC needs one "
            "scale: convert the corpus to the bundle's"
        )
    return [corpus.labels.index(label) if label in corpus.labels else -1 for label in manifest.labels]


def _open_graph(bundle: Bundle, target: TargetDevice | None, name: str, execution: Execution) -> OpenedGraph:
    precision, mode = execution
    if mode != "target":
        return CheckedGraph(bundle, name, precision, mode)
    assert target is not None
    graph = target.open(name, precision)
    assert isinstance(graph, TargetGraph)  # `_target_executions` skipped precisions that it lacks
    return graph


def _target_executions(bundle: Bundle, target: TargetDevice, progress: Progress) -> list[Execution]:
    executions: list[Execution] = [FP32]
    reasons: list[str] = []
    precisions: list[Precision] = ["fp32", *_precisions(bundle)]
    for precision in precisions:
        opened: Sequence[TargetGraph | str]
        try:
            opened = [target.open(name, precision) for name in (*ENCODERS, *PATHS)]
        except BackendUnavailableError as error:
            opened = [str(error)]
        lacking = [graph for graph in opened if isinstance(graph, str)]
        if lacking:
            reasons.append(f"{precision}: {lacking[0]}")
            progress(f"skipping a precision on {target.title}: {reasons[-1]}")
        else:
            executions.append((precision, "target"))
    if len(executions) == 1:
        raise BackendUnavailableError(f"{target.title} lacks graphs in every precision: {'; '.join(reasons)}")
    return executions


def _executions(bundle: Bundle) -> list[Execution]:
    if not (precisions := _precisions(bundle)):
        raise ConfigError(f"bundle {bundle.name}: has no variants to compare; export it in a lower precision")
    return [FP32, *((precision, mode) for precision in precisions for mode in RUN_MODES[precision])]


def _precisions(bundle: Bundle) -> list[LowPrecision]:
    """Lower precisions that all encoders and paths have."""
    return sorted(set.intersection(*(set(bundle.manifest.graphs[name].variants) for name in (*PATHS, *ENCODERS))))


def _compare(
    bundle: Bundle,
    corpus: str,
    path: PathName,
    execution: Execution,
    how: str,
    lengths_s: tuple[float, float],
    clips: Sequence[_Predicted],
) -> CorpusDrift:
    manifest = bundle.manifest
    exact = np.array([clip.predictions.scores[path, PrecisionMix.uniform(FP32)] for clip in clips])
    got = np.array([clip.predictions.scores[path, PrecisionMix.uniform(execution)] for clip in clips])
    annotations = np.array([clip.annotation for clip in clips])
    flipped = exact.argmax(1) != got.argmax(1)
    if manifest.task == "regression":
        flipped[:] = False
    ranked = np.sort(exact, axis=1)
    return CorpusDrift(
        corpus=corpus,
        path=path,
        precision=execution[0],
        how=how,
        from_s=lengths_s[0],
        up_to_s=lengths_s[1],
        clips=len(clips),
        flips=int(flipped.sum()),
        flip_margin=float((ranked[flipped, -1] - ranked[flipped, -2]).max(initial=0.0)),
        distance=float(np.abs(exact - got).mean()),
        fp32=path_metrics(manifest.task, manifest.labels, exact, annotations),
        variant=path_metrics(manifest.task, manifest.labels, got, annotations),
    )

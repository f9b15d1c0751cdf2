"""What a lower precision costs on a labelled corpus: labels that flip, and F1 or CCC, by path and by length."""

from collections.abc import Callable, Sequence
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
    Mix,
    MixedAnswers,
    MixedGraphs,
    OpenedGraph,
    Way,
)
from vavl_export.precision.sessions import WAYS, CheckedGraph
from vavl_export.precision.target_device import TargetGraph, TargetGraphs
from vavl_runtime.bundle import Bundle
from vavl_runtime.bundle.manifest import LowPrecision, PathName, Precision
from vavl_runtime.errors import BackendUnavailableError, InputError

LENGTHS_S = (2.0, 4.0, 8.0, float("inf"))  # upper bounds of what is reported together


class CorpusDrift(BaseModel):
    """Answers of one path on a corpus, beside those of its fp32 graphs on ONNX Runtime's CPU.

    Attributes:
        corpus: Name of the corpus.
        path: ``audio``, ``visual`` or ``audio_visual``.
        precision: Precision of encoders and path.
        how: ``run`` on ONNX Runtime's CPU, ``emulated``, or what ran it, as the backend describes itself.
        from_s: Clips of this length or longer count here, seconds.
        up_to_s: And shorter than this; infinite for all of them.
        clips: Clips that this path answers.
        flips: Clips whose most probable label changed; 0 for attributes.
        flip_margin: How far the first label led the second in fp32 where it flipped, at most; 0 without flips.
        distance: Mean distance of probabilities or scores, over clips and labels.
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
        """Whether clips of all lengths count."""
        return self.from_s == 0.0 and self.up_to_s == float("inf")

    @property
    def name(self) -> str:
        """What was measured, for people."""
        length = "" if self.overall else f", {self.from_s:g} to {self.up_to_s:g} s"
        return f"{self.corpus} {self.path} {self.precision} ({self.how}{length})"

    @property
    def loss(self) -> float:
        """How much the metric that the paper reports falls, at most."""
        return max(value - self.variant[name] for name, value in self.fp32.items() if name != "micro_f1")

    @property
    def passed(self) -> bool:
        """Whether flips and loss are within `golden.FLIPS` and `golden.METRIC_LOSS`."""
        few = self.flips <= golden.FLIPS[self.precision] * self.clips
        return few and self.loss <= golden.METRIC_LOSS[self.precision]

    def describe(self) -> str:
        """One line for people."""
        changes = ", ".join(f"{name} {value:.4f} -> {self.variant[name]:.4f}" for name, value in self.fp32.items())
        if "macro_f1" in self.fp32:
            share = f"{self.flips} of {self.clips} labels flip ({100 * self.flips / self.clips:.2f} %"
            share += f", margins up to {self.flip_margin:.1e})" if self.flips else ")"
        else:  # attributes have no labels
            share = f"{self.clips} clips"
        return f"{share}, {changes}, mean distance {self.distance:.1e}"


@dataclass(frozen=True)
class _Answered:
    """What every precision says about one clip, and what is right, in the order of the bundle's labels."""

    answers: MixedAnswers
    target: tuple[float, ...]


def corpus_drift(
    bundle: Bundle, corpus: Corpus, progress: Callable[[str], None], target: TargetGraphs | None = None
) -> list[CorpusDrift]:
    """Answer a corpus in every precision that a bundle has.

    Args:
        bundle: The bundle.
        corpus: Clips with labels among the bundle's.
        progress: Told of clips that cannot be read, of precisions that the target lacks, and now and then of how far
            it got.
        target: Runs encoders and paths, in fp32 too; faces are found on ONNX Runtime's CPU, and so are the answers to
            compare with. Without one, everything runs there.

    Returns:
        One result for each path, precision and way of running it, over all lengths; then by length.

    Raises:
        ConfigError: The corpus has another task, labels that the bundle lacks, another scale, or no readable clip.
        BackendUnavailableError: The target runs no precision as a whole, or fails.
    """
    columns = label_columns(bundle, corpus)
    ways = _ways(bundle) if target is None else _target_ways(bundle, target, progress)
    mixes = [Mix.uniform(way) for way in ways]
    graphs = MixedGraphs(bundle.manifest, mixes, partial(_open_graph, bundle, target))
    answered: list[_Answered] = []
    for number, clip in enumerate(corpus.clips, 1):
        try:
            right = tuple(clip.target[column] if column >= 0 else 0.0 for column in columns)
            answered.append(_Answered(graphs.answer(clip), right))
        except InputError as error:
            progress(f"left out: {error}")
        if number % 50 == 0:
            progress(f"{number} of {len(corpus.clips)} clips")
    if not answered:
        raise ConfigError(f"corpus {corpus.name}: none of its clips can be read")
    results = []
    for start, end in ((0.0, LENGTHS_S[-1]), *pairwise((0.0, *LENGTHS_S))):
        within = [clip for clip in answered if start <= clip.answers.seconds < end]
        for way in ways[1:]:
            for path in PATHS:
                answers = [clip for clip in within if (path, Mix.uniform(way)) in clip.answers.scores]
                if answers:
                    how = str(target.choose(way[0]).backend.info) if target is not None else way[1]
                    results.append(_compare(bundle, corpus.name, path, way, how, (start, end), answers))
    return results


def label_columns(bundle: Bundle, corpus: Corpus) -> list[int]:
    """Where each label of a bundle stands in a corpus's targets.

    Args:
        bundle: The bundle.
        corpus: The corpus.

    Returns:
        A column for each label; -1 for classes that the corpus has no clips of.

    Raises:
        ConfigError: The corpus has another task, labels that the bundle lacks, or another scale.
    """
    manifest = bundle.manifest
    unknown = [label for label in corpus.labels if label not in manifest.labels]
    missing = [label for label in manifest.labels if label not in corpus.labels]
    if corpus.task != manifest.task or unknown or (missing and manifest.task == "regression"):
        raise ConfigError(
            f"corpus {corpus.name}: {corpus.task} of {', '.join(corpus.labels)}; the bundle does {manifest.task} of "
            f"{', '.join(manifest.labels)}"
        )
    if manifest.task == "regression" and corpus.scale != manifest.scale:
        came, expected = (f"{low:g} to {high:g}" for low, high in (corpus.scale, manifest.scale))
        raise ConfigError(
            f"corpus {corpus.name}: its scores go from {came}, those of the bundle from {expected}; CCC would compare "
            "what is not comparable: bring the corpus to the bundle's scale"
        )
    return [corpus.labels.index(label) if label in corpus.labels else -1 for label in manifest.labels]


def _open_graph(bundle: Bundle, target: TargetGraphs | None, name: str, way: Way) -> OpenedGraph:
    precision, how = way
    if how != "target":
        return CheckedGraph(bundle, name, precision, how)
    assert target is not None
    graph = target.open(name, precision)
    assert isinstance(graph, TargetGraph)  # `_target_ways` left out what it lacks
    return graph


def _target_ways(bundle: Bundle, target: TargetGraphs, progress: Callable[[str], None]) -> list[Way]:
    ways: list[Way] = [FP32]
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
            progress(f"left out on {target.asked}: {reasons[-1]}")
        else:
            ways.append((precision, "target"))
    if len(ways) == 1:
        raise BackendUnavailableError(f"{target.asked} runs no precision as a whole: {'; '.join(reasons)}")
    return ways


def _ways(bundle: Bundle) -> list[Way]:
    if not (precisions := _precisions(bundle)):
        raise ConfigError(f"bundle {bundle.name}: has no variants to compare; export with --precision fp16,bf16,int8")
    return [FP32, *((precision, how) for precision in precisions for how in WAYS[precision])]


def _precisions(bundle: Bundle) -> list[LowPrecision]:
    """Those that all encoders and paths have."""
    return sorted(set.intersection(*(set(bundle.manifest.graphs[name].variants) for name in (*PATHS, *ENCODERS))))


def _compare(
    bundle: Bundle,
    corpus: str,
    path: PathName,
    way: Way,
    how: str,
    lengths_s: tuple[float, float],
    clips: Sequence[_Answered],
) -> CorpusDrift:
    manifest = bundle.manifest
    exact = np.array([clip.answers.scores[path, Mix.uniform(FP32)] for clip in clips])
    got = np.array([clip.answers.scores[path, Mix.uniform(way)] for clip in clips])
    target = np.array([clip.target for clip in clips])
    flipped = exact.argmax(1) != got.argmax(1)
    if manifest.task == "regression":
        flipped[:] = False
    ranked = np.sort(exact, axis=1)
    return CorpusDrift(
        corpus=corpus,
        path=path,
        precision=way[0],
        how=how,
        from_s=lengths_s[0],
        up_to_s=lengths_s[1],
        clips=len(clips),
        flips=int(flipped.sum()),
        flip_margin=float((ranked[flipped, -1] - ranked[flipped, -2]).max(initial=0.0)),
        distance=float(np.abs(exact - got).mean()),
        fp32=path_metrics(manifest.task, manifest.labels, exact, target),
        variant=path_metrics(manifest.task, manifest.labels, got, target),
    )

"""Which int8 graphs a bundle does without, because labels of real clips flip with them.

Distances of features and outputs do not tell: features that hardly drift may still move an answer, and the other way
round. So clips are answered in every mix of fp32 and int8, and graphs are taken back until few enough labels flip.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx

from vavl.corpora import Clip
from vavl_export import golden
from vavl_export.precision.calibration import spread_clips
from vavl_export.precision.int8 import with_unsigned_activations
from vavl_export.precision.mixed_precision import ENCODERS, FP32, PATHS, Mix, MixedAnswers, MixedGraphs, Way
from vavl_export.precision.sessions import CheckedGraph
from vavl_runtime.bundle import Bundle
from vavl_runtime.bundle.manifest import PathName
from vavl_runtime.errors import InputError

MAX_CLIPS = 192  # two flips in a hundred can be told from four
INT8: Way = ("int8", "run")


def hold_back(
    bundle: Bundle, quantized: Mapping[str, onnx.ModelProto], folder: Path, progress: Callable[[str], None]
) -> dict[str, str]:
    """Choose the graphs that stay fp32.

    Args:
        bundle: A finished fp32 bundle that classifies.
        quantized: int8 graphs by name, weights inside; other graphs run in fp32.
        folder: Clips; at most `MAX_CLIPS`, evenly spread over the names, are answered.
        progress: Told of clips that cannot be read, and what flips.

    Returns:
        The reason by name of each graph that stays fp32; at most `golden.FLIPS` of the labels flip with the others.
    """
    answers = _answer(bundle, quantized, folder, progress)
    reasons = choose_graphs(answers, quantized)
    kept = frozenset(quantized) - reasons.keys()
    for path in PATHS:
        flips, clips = _flips(answers, path, kept)
        if clips:
            progress(f"int8 flips {flips} of {clips} labels by the {path} path")
    return reasons


def choose_graphs(answers: Sequence[MixedAnswers], quantized: Collection[str]) -> dict[str, str]:
    """Take int8 graphs back, one after the other, until few enough labels flip.

    Args:
        answers: Of every clip, in every mix of fp32 and int8.
        quantized: Names of the int8 graphs.

    Returns:
        The reason by name of each graph taken back.
    """
    kept, reasons = frozenset(quantized), {}
    while found := _worst_path(answers, kept):
        path, flips, clips = found
        # The graph whose return mends most; of equals the path, as most of what int8 gains is in the encoders.
        without = {name: _all_flips(answers, kept - {name}) for name in (path, *ENCODERS) if name in kept}
        name = min(without, key=lambda name: without[name])
        reasons[name] = f"with int8 {flips} of {clips} labels flip by the {path} path, {_allowed(clips)} may"
        kept -= {name}
    return reasons


def _answer(
    bundle: Bundle, quantized: Mapping[str, onnx.ModelProto], folder: Path, progress: Callable[[str], None]
) -> list[MixedAnswers]:
    ways = {encoder: (FP32, INT8) if encoder in quantized else (FP32,) for encoder in ENCODERS}
    mixes = [
        Mix(audio, face, path)
        for audio in ways["audio_encoder"]
        for face in ways["face_encoder"]
        for path in (FP32, INT8)
    ]

    def open_graph(name: str, way: Way) -> CheckedGraph:
        if way == FP32 or name not in quantized:
            return CheckedGraph(bundle, name, "fp32", "run")
        return CheckedGraph(bundle, name, "int8", "run", variant=with_unsigned_activations(quantized[name]))

    graphs = MixedGraphs(bundle.manifest, mixes, open_graph)
    answers = []
    clips = spread_clips(folder, MAX_CLIPS)
    for number, clip in enumerate(clips, 1):
        try:
            answers.append(graphs.answer(Clip(str(clip), "", (), clip, clip, str(clip))))
        except InputError as error:
            progress(f"left out: {error}")
        if number % 50 == 0:
            progress(f"int8 beside fp32: {number} of {len(clips)} clips")
    return answers


def _worst_path(answers: Sequence[MixedAnswers], kept: frozenset[str]) -> tuple[PathName, int, int] | None:
    """The path with the largest share of flips beyond what is allowed, its flips and its clips."""
    beyond = []
    for path in PATHS:
        flips, clips = _flips(answers, path, kept)
        if flips > _allowed(clips):
            beyond.append((flips / clips, path, flips, clips))
    return max(beyond)[1:] if beyond else None


def _all_flips(answers: Sequence[MixedAnswers], kept: frozenset[str]) -> int:
    return sum(_flips(answers, path, kept)[0] for path in PATHS)


def _flips(answers: Sequence[MixedAnswers], path: PathName, kept: frozenset[str]) -> tuple[int, int]:
    """Labels that some int8 graphs flip by a path, and the clips that it answers."""
    mix = Mix(*(INT8 if name in kept else FP32 for name in (*ENCODERS, path)))
    pairs = [
        (answer.scores[path, Mix()], answer.scores[path, mix]) for answer in answers if (path, Mix()) in answer.scores
    ]
    return sum(int(np.argmax(exact) != np.argmax(got)) for exact, got in pairs), len(pairs)


def _allowed(clips: int) -> int:
    return int(golden.FLIPS["int8"] * clips)

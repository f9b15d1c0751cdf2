"""Chooses the graphs that stay fp32 in the int8 variant because int8 would change too many labels.

Output error does not predict label changes: features with hardly any error may change a label, and the other way
round. So this counts changed labels directly. It runs clips in every mix of fp32 and int8, and returns graphs to fp32,
one after the other, until few enough labels change.
"""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx

from vavl.corpora import Clip
from vavl_export import golden
from vavl_export.precision.calibration import spread_clips
from vavl_export.precision.int8 import with_unsigned_activations
from vavl_export.precision.mixed_precision import (
    ENCODERS,
    FP32,
    PATHS,
    Execution,
    MixedGraphs,
    MixedPredictions,
    PrecisionMix,
)
from vavl_export.precision.sessions import CheckedGraph
from vavl_export.progress import Progress
from vavl_runtime.bundle import Bundle
from vavl_runtime.bundle.manifest import PathName
from vavl_runtime.errors import InputError

MAX_CLIPS = 192  # enough to tell two changed labels in a hundred from four
INT8: Execution = ("int8", "run")
_CLIPS_PER_LINE = 50


def select_fp32_graphs(
    bundle: Bundle, quantized: Mapping[str, onnx.ModelProto], folder: Path, progress: Progress
) -> dict[str, str]:
    """Choose the graphs that stay fp32, by running clips.

    Args:
        bundle: A finished fp32 bundle for classification.
        quantized: int8 graphs by name, with their weights inside; all other graphs run in fp32.
        folder: Folder of clips. At most `MAX_CLIPS` of them are used, evenly spread over the sorted names.
        progress: Called with a line of text for each clip that cannot be read, and for each path's changed labels.

    Returns:
        The graphs that stay fp32, with the reason. With the others in int8, at most the share `golden.FLIPS` of the
        labels changes.
    """
    predictions = _predict(bundle, quantized, folder, progress)
    reasons = restore_fp32(predictions, quantized)
    in_int8 = frozenset(quantized) - reasons.keys()
    for path in PATHS:
        flips, clips = _flips(predictions, path, in_int8)
        if clips:
            progress(f"int8 changes {flips} of {clips} labels by the {path} path")
    return reasons


def restore_fp32(predictions: Sequence[MixedPredictions], quantized: Collection[str]) -> dict[str, str]:
    """Return graphs to fp32, one after the other, until few enough labels change.

    Args:
        predictions: Predictions for every clip, in every mix of fp32 and int8.
        quantized: Names of the int8 graphs.

    Returns:
        The graphs returned to fp32, with the reason.
    """
    in_int8, reasons = frozenset(quantized), {}
    while found := _worst_path(predictions, in_int8):
        path, flips, clips = found
        # Take the graph that helps most. If several help equally, take the path: int8 gains most in the encoders.
        without = {name: _all_flips(predictions, in_int8 - {name}) for name in (path, *ENCODERS) if name in in_int8}
        name = min(without, key=lambda name: without[name])
        reasons[name] = f"int8 changes {flips} of {clips} labels by the {path} path, at most {_allowed(clips)} expected"
        in_int8 -= {name}
    return reasons


def _predict(
    bundle: Bundle, quantized: Mapping[str, onnx.ModelProto], folder: Path, progress: Progress
) -> list[MixedPredictions]:
    executions = {encoder: (FP32, INT8) if encoder in quantized else (FP32,) for encoder in ENCODERS}
    mixes = [
        PrecisionMix(audio, face, path)
        for audio in executions["audio_encoder"]
        for face in executions["face_encoder"]
        for path in (FP32, INT8)
    ]

    def open_graph(name: str, execution: Execution) -> CheckedGraph:
        if execution == FP32 or name not in quantized:
            return CheckedGraph(bundle, name, "fp32", "run")
        return CheckedGraph(bundle, name, "int8", "run", with_unsigned_activations(quantized[name]))

    graphs = MixedGraphs(bundle.manifest, mixes, open_graph)
    predictions = []
    clips = spread_clips(folder, MAX_CLIPS)
    for number, clip in enumerate(clips, 1):
        try:
            predictions.append(graphs.predict(Clip(str(clip), "", (), clip, clip, str(clip))))
        except InputError as error:
            progress(f"skipping a clip: {error}")
        if number % _CLIPS_PER_LINE == 0:
            progress(f"comparing int8 with fp32: {number} of {len(clips)} clips")
    return predictions


def _worst_path(predictions: Sequence[MixedPredictions], in_int8: frozenset[str]) -> tuple[PathName, int, int] | None:
    """The path with the largest share of changed labels above the allowed one, with its changed labels and clips."""
    above = []
    for path in PATHS:
        flips, clips = _flips(predictions, path, in_int8)
        if flips > _allowed(clips):
            above.append((flips / clips, path, flips, clips))
    return max(above)[1:] if above else None


def _all_flips(predictions: Sequence[MixedPredictions], in_int8: frozenset[str]) -> int:
    return sum(_flips(predictions, path, in_int8)[0] for path in PATHS)


def _flips(predictions: Sequence[MixedPredictions], path: PathName, in_int8: frozenset[str]) -> tuple[int, int]:
    """Labels that change by a path when some graphs run in int8, and the clips that the path serves."""
    exact, mix = PrecisionMix(), PrecisionMix(*(INT8 if name in in_int8 else FP32 for name in (*ENCODERS, path)))
    pairs = [
        (found.scores[path, exact], found.scores[path, mix]) for found in predictions if (path, exact) in found.scores
    ]
    return sum(int(np.argmax(fp32) != np.argmax(int8)) for fp32, int8 in pairs), len(pairs)


def _allowed(clips: int) -> int:
    return int(golden.FLIPS["int8"] * clips)

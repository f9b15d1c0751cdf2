"""Runs a graph once for several clips. Padding and neighbours change no answer: graphs mask by the lengths."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vavl_runtime.backends.base import Arrays, RunGraph
from vavl_runtime.bundle.manifest import PathName
from vavl_runtime.serving.clip_state import modality_inputs

Outputs = list[dict[str, NDArray[Any]]]


def encode_sounds(run: RunGraph, sounds: Sequence[NDArray[np.float32]]) -> Outputs:
    """Encode the sound of several windows at once.

    Args:
        run: Runs ``audio_encoder``.
        sounds: Mono 16 kHz, float32, shape (S,) each.

    Returns:
        ``audio_features`` (T_a, F) of each.
    """
    waveform, samples = _padded(sounds)
    output = run("audio_encoder", {"waveform": waveform, "samples": samples})
    pairs = zip(output["audio_features"], output["audio_lengths"], strict=True)
    return [{"audio_features": row[:length]} for row, length in pairs]


def encode_faces(run: RunGraph, crops: Sequence[NDArray[np.uint8]], rows: int) -> Outputs:
    """Encode face crops of several windows.

    Args:
        run: Runs ``face_encoder``.
        crops: RGB, uint8, shape (N, size, size, 3) each.
        rows: Most crops at once.

    Returns:
        ``face_features`` (N, F) of each.
    """
    together = np.concatenate(crops) if len(crops) > 1 else crops[0]
    parts = [
        run("face_encoder", {"faces": together[start : start + rows]})["face_features"]
        for start in range(0, len(together), rows)
    ]
    features = np.concatenate(parts)
    ends = np.cumsum([len(part) for part in crops])[:-1]
    return [{"face_features": part} for part in np.split(features, ends)]


def run_path(run: RunGraph, path: PathName, inputs: Sequence[Arrays]) -> Outputs:
    """Run a path for several windows at once.

    Args:
        run: Runs the path's graph.
        path: The path.
        inputs: Features (1, T, F) and lengths (1,) of each.

    Returns:
        ``prediction`` (1, C) and ``embedding`` (1, D) of each.
    """
    together: dict[str, NDArray[Any]] = {}
    for modality in modality_inputs(path):
        features, lengths = _padded([each[f"{modality}_features"][0] for each in inputs])
        together |= {f"{modality}_features": features, f"{modality}_lengths": lengths}
    output = run(path, together)
    return [{name: value[row : row + 1] for name, value in output.items()} for row in range(len(inputs))]


def _padded(arrays: Sequence[NDArray[Any]]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Stack arrays of different lengths with zeros behind; returns (B, longest, ...) and the lengths (B,)."""
    lengths = np.array([len(array) for array in arrays], np.int64)
    if len(arrays) == 1:
        return arrays[0][None], lengths
    padded = np.zeros((len(arrays), int(lengths.max()), *arrays[0].shape[1:]), arrays[0].dtype)
    for row, array in zip(padded, arrays, strict=True):
        row[: len(array)] = array
    return padded, lengths

"""Rounds sizes up to a few steps, so that few shapes meet the GPU, and cuts what the padding added.

Graphs mask by the valid lengths, so padding in time changes no output. Rows (faces, boxes) are independent, so rows of
zeros are computed and cut off. Other axes keep their size.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from vavl_runtime.backends.base import Arrays
from vavl_runtime.backends.trt.engine_store import Profile, Shape
from vavl_runtime.bundle.manifest import GraphRecord

STEPS = {"samples_padded": 8000, "audio_tokens": 32, "visual_tokens": 32}  # half a second of sound, or 0.64 s
ROWS = ("faces", "boxes")


def round_up(axis: str, size: int, low: int, high: int) -> int:
    """Round a size up to the step that a profile uses for it.

    Args:
        axis: Its symbol.
        size: What came, at most ``high``.
        low: Smallest size of the profile.
        high: Largest size of the profile.
    """
    if axis in ROWS:
        size = 1 << (size - 1).bit_length()
    elif axis in STEPS:
        size = -(-size // STEPS[axis]) * STEPS[axis]
    else:
        return size
    return min(max(size, low), high)


def padded_shapes(record: GraphRecord, profile: Profile, inputs: Arrays) -> dict[str, Shape] | None:
    """The padded shapes in which a profile takes inputs.

    Args:
        record: The graph.
        profile: The profile.
        inputs: Checked inputs by name.

    Returns:
        Shapes by input name; None if the profile is too small, or too large for an axis that cannot be padded.
    """
    shapes: dict[str, Shape] = {}
    for tensor in record.inputs:
        bounds = profile.inputs[tensor.name]
        sizes = []
        for axis, size, low, high in zip(tensor.shape, inputs[tensor.name].shape, bounds.min, bounds.max, strict=True):
            padded = round_up(axis, size, low, high) if isinstance(axis, str) else size
            if not max(low, size) <= padded <= high:
                return None
            sizes.append(padded)
        shapes[tensor.name] = tuple(sizes)
    return shapes


def write_padded(target: NDArray[Any], value: NDArray[Any]) -> None:
    """Write a value into a larger array, with zeros around."""
    if target.shape != value.shape:
        target[...] = 0
    target[tuple(slice(size) for size in value.shape)] = value


def cut_outputs(record: GraphRecord, inputs: Arrays, outputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Cut what padding added to the outputs.

    Args:
        record: The graph.
        inputs: What came, not padded.
        outputs: What the padded inputs gave.

    Returns:
        The outputs that the inputs give without padding.
    """
    sizes = {
        axis: size
        for tensor in record.inputs
        for axis, size in zip(tensor.shape, inputs[tensor.name].shape, strict=True)
        if isinstance(axis, str)
    }
    for name, value in outputs.items():
        if name.endswith("_lengths"):
            sizes["tokens"] = int(value.max())  # of an encoder: as many as the longest clip has
    return {
        tensor.name: outputs[tensor.name][tuple(_cut(axis, sizes) for axis in tensor.shape)]
        for tensor in record.outputs
    }


def _cut(axis: int | str, sizes: Mapping[str, int]) -> slice:
    return slice(sizes.get(axis)) if isinstance(axis, str) else slice(None)


def split_rows(record: GraphRecord, largest: int, inputs: Arrays) -> Sequence[Arrays]:
    """Split inputs of independent rows so that each part fits.

    Args:
        record: The graph.
        largest: Most rows at once.
        inputs: Checked inputs by name.

    Returns:
        The parts; only one if the graph has no rows or they fit.
    """
    (first, *others) = record.inputs
    rows = inputs[first.name].shape[0] if first.shape[0] in ROWS and not others else 0
    if rows <= largest:
        return [inputs]
    return [{first.name: inputs[first.name][start : start + largest]} for start in range(0, rows, largest)]

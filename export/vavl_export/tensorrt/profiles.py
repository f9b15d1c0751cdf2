"""Chooses the shapes that engines are built for: a few length buckets, each with a smallest, tuned and largest shape.

TensorRT tunes kernels for one shape of a profile. A wide range of shapes is slow, several narrow ones are not.
"""

import itertools
import math
from dataclasses import dataclass

from vavl_runtime.backends.trt.engine_store import Profile, ShapeRange
from vavl_runtime.backends.trt.shapes import STEPS
from vavl_runtime.bundle.manifest import TOKENS_PER_S, GraphRecord, Manifest
from vavl_runtime.errors import InputError
from vavl_runtime.faces.mtcnn import CELL

GRAPHS = ("audio_encoder", "face_encoder", "audio_visual", "audio", "visual", "pnet", "rnet", "onet")
FACES = (4, 16)  # crops at once: as many as the runtime passes, and a batch for throughput
BOXES = 256  # boxes of the detector at once; more of them take several calls
_USUAL_BOXES = 32
_USUAL_FRAME_RATE = 25

Range = tuple[int, int, int]


@dataclass(frozen=True)
class Buckets:
    """Upper bounds of the buckets.

    Attributes:
        seconds: Lengths of audio and video, ascending; the last one is the bundle's window.
        batch: Largest number of clips at once.
    """

    seconds: tuple[float, ...]
    batch: int = 1


def choose_buckets(manifest: Manifest, seconds: tuple[float, ...] | None = None, batch: int = 1) -> Buckets:
    """Check buckets against a bundle, or choose them: a third of the window, and the window.

    Args:
        manifest: The bundle's manifest.
        seconds: Upper bounds of the length buckets, seconds; None to choose them.
        batch: Largest number of clips at once.

    Returns:
        The buckets.

    Raises:
        InputError: The bounds do not ascend or do not end at the bundle's window, or its layout cannot take the
            batch.
    """
    window = manifest.limits.window_s
    if seconds is None:
        seconds = (window / 3, window)
    if list(seconds) != sorted(set(seconds)) or not seconds or seconds[0] <= 0:
        raise InputError(f"buckets: got {_listed(seconds)} s, expected ascending lengths above 0")
    if seconds[-1] != window:
        raise InputError(f"buckets: the last is {seconds[-1]:g} s, expected the bundle's window of {window:g} s")
    least = STEPS["samples_padded"] / manifest.sample_rate
    if seconds[0] < least:
        raise InputError(f"buckets: the first is {seconds[0]:g} s, expected at least {least:g} s")
    if batch < 1 or (batch > 1 and manifest.layout == "released"):
        raise InputError(f"max_batch: got {batch}, expected {'1' if manifest.layout == 'released' else 'at least 1'}")
    return Buckets(tuple(seconds), batch)


def plan_profiles(name: str, record: GraphRecord, manifest: Manifest, buckets: Buckets) -> tuple[Profile, ...]:
    """Choose the profiles of a graph.

    Args:
        name: The graph.
        record: Its signature.
        manifest: The bundle's manifest.
        buckets: Length buckets.

    Returns:
        Profiles, smallest first.

    Raises:
        InputError: The graph has an axis without a known range.
    """
    ranges = _axis_ranges(manifest, buckets)
    axes = {axis for tensor in record.inputs for axis in tensor.shape if isinstance(axis, str)}
    if unknown := sorted(axes - ranges.keys()):
        raise InputError(f"graph {name}: no range is known for axis {', '.join(unknown)}")
    count = max((len(ranges[axis]) for axis in axes), default=1)
    return tuple(_profile(record, {axis: _at(ranges[axis], number) for axis in axes}) for number in range(count))


def _profile(record: GraphRecord, ranges: dict[str, Range]) -> Profile:
    def shape(tensor_shape: tuple[int | str, ...], end: int) -> tuple[int, ...]:
        return tuple(ranges[axis][end] if isinstance(axis, str) else axis for axis in tensor_shape)

    return Profile(
        inputs={
            tensor.name: ShapeRange(min=shape(tensor.shape, 0), opt=shape(tensor.shape, 1), max=shape(tensor.shape, 2))
            for tensor in record.inputs
        }
    )


def _at(ranges: list[Range], number: int) -> Range:
    """Return the range of an axis; an axis with fewer buckets than its graph stays in its last one."""
    return ranges[min(number, len(ranges) - 1)]


def _axis_ranges(manifest: Manifest, buckets: Buckets) -> dict[str, list[Range]]:
    limits = manifest.limits
    samples = [round(end * manifest.sample_rate) for end in buckets.seconds]
    tokens = [math.ceil(end * TOKENS_PER_S) for end in buckets.seconds]
    frames = [(STEPS["visual_tokens"], _frames(end), end) for end in tokens]
    if tokens[-1] < limits.max_tokens:  # video frames may come faster than audio tokens
        frames.append((STEPS["visual_tokens"], tokens[-1], limits.max_tokens))
    # The longest side of the first level of the detector's pyramid.
    side = math.floor(largest_level(manifest)) + 1
    return {
        "batch": [(1, 1, buckets.batch)],
        "samples_padded": _neighbours([max(STEPS["samples_padded"], limits.minimum_samples), *samples]),
        "audio_tokens": [(STEPS["audio_tokens"], end, end) for end in tokens],
        "visual_tokens": frames,
        "faces": _neighbours([1, *FACES]),
        "boxes": [(1, _USUAL_BOXES, BOXES)],
        "images": [(1, 1, 1)],
        "height": [(CELL, side // 2, side)],
        "width": [(CELL, side // 2, side)],
    }


def largest_level(manifest: Manifest) -> float:
    """Longest side, in pixels, of an image that the first network of the detector gets."""
    return manifest.crop.detect_max_side * CELL / manifest.crop.min_face


def _frames(tokens: int) -> int:
    return max(STEPS["visual_tokens"], tokens * _USUAL_FRAME_RATE // TOKENS_PER_S)


def _neighbours(ends: list[int]) -> list[Range]:
    """Adjacent buckets, each tuned for its upper bound, where most padded lengths fall."""
    return [(low, high, high) for low, high in itertools.pairwise(ends)]


def _listed(seconds: tuple[float, ...]) -> str:
    return ", ".join(f"{end:g}" for end in seconds)

"""Which shapes engines are built for: a few length buckets, each with its smallest, tuned and largest shape.

A kernel is tuned for one shape of its profile, so a wide range is slow; one profile for each of a few lengths is not.
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
FACES = (4, 16)  # crops at once: what the runtime hands over, and a batch for throughput
BOXES = 256  # of the detector, at once; more come in several calls
_USUAL_BOXES = 32
_USUAL_FRAME_RATE = 25

Range = tuple[int, int, int]


@dataclass(frozen=True)
class Buckets:
    """Upper ends of the buckets.

    Attributes:
        seconds: Of sound and picture, rising; the last is the longest window that is answered at once.
        batch: Most clips at once.
    """

    seconds: tuple[float, ...]
    batch: int = 1


def choose_buckets(manifest: Manifest, seconds: tuple[float, ...] | None = None, batch: int = 1) -> Buckets:
    """Check buckets against a bundle, or choose them: a third of a window and a window.

    Args:
        manifest: The bundle's manifest.
        seconds: Upper ends of the length buckets, seconds.
        batch: Most clips at once.

    Returns:
        The buckets.

    Raises:
        InputError: Not rising, not reaching the bundle's window, or a batch that the bundle's layout cannot take.
    """
    window = manifest.limits.window_s
    if seconds is None:
        seconds = (window / 3, window)
    if list(seconds) != sorted(set(seconds)) or not seconds or seconds[0] <= 0:
        raise InputError(f"buckets: got {_listed(seconds)} s, expected rising lengths above 0")
    if seconds[-1] != window:
        raise InputError(f"buckets: the last is {seconds[-1]:g} s, expected the bundle's window of {window:g} s")
    least = STEPS["samples_padded"] / manifest.sample_rate
    if seconds[0] < least:
        raise InputError(f"buckets: the first is {seconds[0]:g} s, expected at least {least:g} s")
    if batch < 1 or (batch > 1 and manifest.layout == "released"):
        raise InputError(f"max-batch: got {batch}, expected {'1' if manifest.layout == 'released' else 'at least 1'}")
    return Buckets(tuple(seconds), batch)


def plan_profiles(name: str, record: GraphRecord, manifest: Manifest, buckets: Buckets) -> tuple[Profile, ...]:
    """Plan the profiles of a graph.

    Args:
        name: The graph.
        record: Its signature.
        manifest: The bundle's manifest.
        buckets: Length buckets.

    Returns:
        Profiles, smallest first.

    Raises:
        InputError: The graph has an axis that no bucket covers.
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
    """An axis with fewer buckets than its graph stays in its last one."""
    return ranges[min(number, len(ranges) - 1)]


def _axis_ranges(manifest: Manifest, buckets: Buckets) -> dict[str, list[Range]]:
    limits = manifest.limits
    samples = [round(end * manifest.sample_rate) for end in buckets.seconds]
    tokens = [math.ceil(end * TOKENS_PER_S) for end in buckets.seconds]
    pictures = [(STEPS["visual_tokens"], _frames(end), end) for end in tokens]
    if tokens[-1] < limits.max_tokens:  # pictures may come faster than tokens of sound
        pictures.append((STEPS["visual_tokens"], tokens[-1], limits.max_tokens))
    # The longest side of the first level of the detector's pyramid.
    side = math.floor(largest_level(manifest)) + 1
    return {
        "batch": [(1, 1, buckets.batch)],
        "samples_padded": _neighbours([max(STEPS["samples_padded"], limits.minimum_samples), *samples]),
        "audio_tokens": [(STEPS["audio_tokens"], end, end) for end in tokens],
        "visual_tokens": pictures,
        "faces": _neighbours([1, *FACES]),
        "boxes": [(1, _USUAL_BOXES, BOXES)],
        "images": [(1, 1, 1)],
        "height": [(CELL, side // 2, side)],
        "width": [(CELL, side // 2, side)],
    }


def largest_level(manifest: Manifest) -> float:
    """Longest side, in pixels, of an image that the first net of the detector sees."""
    return manifest.crop.detect_max_side * CELL / manifest.crop.min_face


def _frames(tokens: int) -> int:
    return max(STEPS["visual_tokens"], tokens * _USUAL_FRAME_RATE // TOKENS_PER_S)


def _neighbours(ends: list[int]) -> list[Range]:
    """Buckets that touch, each tuned for its end, where most padded lengths fall."""
    return [(low, high, high) for low, high in itertools.pairwise(ends)]


def _listed(seconds: tuple[float, ...]) -> str:
    return ", ".join(f"{end:g}" for end in seconds)

"""Options of ONNX Runtime's TensorRT provider for a graph: the shapes to build for, and the folder of its engines."""

import os
from pathlib import Path

from vavl_runtime.bundle import Bundle
from vavl_runtime.bundle.manifest import GraphRecord, Limits
from vavl_runtime.media.source import SAMPLE_RATE

# The detector sees another image size at every pyramid level and clip. Engines for that whole range are slow to build
# and to run, so the detector stays with the CUDA provider.
WITHOUT_TENSORRT = frozenset({"pnet", "rnet", "onet"})
MAX_BATCH = 8
MAX_FACES = 64


def engine_folder(bundle: Bundle, name: str, record: GraphRecord) -> Path:
    """Where engines of a graph are kept: in the user's cache, one folder for each bundle, graph and precision.

    Args:
        bundle: The bundle; its hash covers the weights, which ONNX Runtime's own key of an engine leaves out.
        name: The graph.
        record: Its record.

    Returns:
        The folder, which may not exist yet.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "vavl" / "onnxruntime-tensorrt" / bundle.sha256[:16] / f"{name}.{record.precision}"


def profile_options(record: GraphRecord, limits: Limits) -> dict[str, str]:
    """The one optimisation profile that the provider takes for each input.

    Args:
        record: A graph.
        limits: Bounds of the bundle.

    Returns:
        ``trt_profile_{min,opt,max}_shapes``; empty if an axis has no known bounds.
    """
    bounds = _axis_bounds(limits)
    free = {axis for tensor in record.inputs for axis in tensor.shape if isinstance(axis, str)}
    if not free <= bounds.keys():
        return {}
    options = {}
    for rank, key in enumerate(("min", "opt", "max")):
        shapes = [
            f"{tensor.name}:" + "x".join(str(bounds[a][rank] if isinstance(a, str) else a) for a in tensor.shape)
            for tensor in record.inputs
        ]
        options[f"trt_profile_{key}_shapes"] = ",".join(shapes)
    return options


def _axis_bounds(limits: Limits) -> dict[str, tuple[int, int, int]]:
    """Least, usual and largest size of each free axis."""
    window = int(limits.window_s * SAMPLE_RATE)
    tokens = (1, min(150, limits.max_tokens), limits.max_tokens)  # usual: 3 s
    return {
        "batch": (1, 1, MAX_BATCH),
        "samples_padded": (limits.minimum_samples, min(3 * SAMPLE_RATE, window), window),
        "audio_tokens": tokens,
        "visual_tokens": tokens,
        "faces": (1, 4, MAX_FACES),
    }

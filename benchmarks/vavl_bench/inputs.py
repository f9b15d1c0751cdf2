"""Inputs for measurements without a file: noise of the right shapes, since speed does not depend on the values."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vavl_runtime.bundle.manifest import TOKENS_PER_S, GraphRecord, Limits
from vavl_runtime.errors import InputError
from vavl_runtime.media.source import SAMPLE_RATE

FPS = 25
DETECTOR_SIDES = {"pnet": (360, 640), "rnet": (24, 24), "onet": (48, 48)}  # P-Net sees whole frames, 360p here
_LOUDNESS = 0.1  # of the noise, full scale is 1


def noise_waveform(batch: int, seconds: float) -> NDArray[np.float32]:
    """White noise, 16 kHz, shape (batch, samples)."""
    generator = np.random.default_rng(0)
    return (_LOUDNESS * generator.standard_normal((batch, round(seconds * SAMPLE_RATE)))).astype(np.float32)


def noise_faces(count: int) -> NDArray[np.uint8]:
    """Pictures of noise, shape (count, 224, 224, 3)."""
    return np.random.default_rng(0).integers(0, 256, (count, 224, 224, 3), np.uint8)


def check_length(seconds: float, limits: Limits) -> None:
    """Refuse lengths that the runtime never processes in one window.

    Raises:
        InputError: Shorter than the shortest sound, or longer than a window.
    """
    shortest = limits.minimum_samples / SAMPLE_RATE
    if not shortest <= seconds <= limits.window_s:
        raise InputError(
            f"media length: got {seconds:g} s, expected {shortest:g} to {limits.window_s:g} s, this bundle's "
            "longest window; measure longer media as files, in the clip scope"
        )


def graph_inputs(name: str, graph: GraphRecord, batch: int, seconds: float) -> dict[str, NDArray[Any]]:
    """Make inputs of a graph.

    Args:
        name: The graph's name in the manifest.
        graph: Its signature.
        batch: Clips; faces, images or boxes for the face encoder and the detector's nets.
        seconds: Length of a clip, seconds; faces and boxes have none.

    Returns:
        Inputs by name.

    Raises:
        InputError: The graph is none of those in docs/bundle.md.
    """
    if name == "audio_encoder":
        waveform = noise_waveform(batch, seconds)
        return {"waveform": waveform, "samples": np.full(batch, waveform.shape[1], np.int64)}
    if name == "face_encoder":
        return {"faces": noise_faces(batch)}
    if name in DETECTOR_SIDES:
        shape = (batch, *DETECTOR_SIDES[name], 3)
        return {"pixels": np.random.default_rng(0).uniform(0, 255, shape).astype(np.float32)}
    if name in ("audio", "visual", "audio_visual"):
        tokens = {"audio": round(seconds * TOKENS_PER_S), "visual": round(seconds * FPS)}
        widths = {tensor.name: tensor.shape[-1] for tensor in graph.inputs}
        inputs: dict[str, NDArray[Any]] = {}
        for modality, count in tokens.items():
            if f"{modality}_features" in widths:
                size = (batch, max(count, 1), int(widths[f"{modality}_features"]))
                inputs[f"{modality}_features"] = np.random.default_rng(0).standard_normal(size).astype(np.float32)
                inputs[f"{modality}_lengths"] = np.full(batch, size[1], np.int64)
        return inputs
    raise InputError(f"graph {name}: vavl-bench does not know its inputs; expected one of the graphs of docs/bundle.md")

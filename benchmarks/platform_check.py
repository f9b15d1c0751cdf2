"""Check the runtime on a platform: golden vectors of every graph, and the example clip by all three paths.

    python -m benchmarks.platform_check

Needs the runtime with onnxruntime alone. Prints JSON: what the platform is, the largest difference of each graph from
its golden vectors, and the scores of the example clip, once from its file and once from pixels that are computed
without FFmpeg's colour conversion.
"""

import json
import platform
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from vavl_runtime import ArrayClip, ClipResult, Recognizer
from vavl_runtime.backends.ort.cpu import OnnxRuntimeBackend
from vavl_runtime.backends.ort.session import import_onnxruntime
from vavl_runtime.bundle import PACKAGED_BUNDLE, open_bundle
from vavl_runtime.bundle.manifest import Limits
from vavl_runtime.media import open_source

CLIP = Path(__file__).parent.parent / "examples" / "astronaut.mp4"
FRAMES = 25  # of the clip computed from arrays: a second

Scores = dict[str, dict[str, float]]  # by path and label


def golden_differences() -> dict[str, float]:
    """Largest absolute difference from what PyTorch computed at export, by graph of the packaged bundle."""
    found: dict[str, float] = {}
    backend = OnnxRuntimeBackend(threads=1)
    with open_bundle(PACKAGED_BUNDLE) as bundle:
        for name, record in bundle.manifest.graphs.items():
            backend.load(name, bundle.graph_file(name), record)
            for path in (path for path in bundle.manifest.files if path.startswith(f"golden/{name}.")):
                with np.load(bundle.verified_file(path)) as vectors:
                    inputs = {key.removeprefix("input."): vectors[key] for key in vectors if key.startswith("input.")}
                    for output, got in backend.run(name, inputs).items():
                        worst = float(np.abs(got - vectors[f"output.{output}"]).max())
                        found[name] = max(found.get(name, 0.0), worst)
        backend.close()
    return found


def example_arrays() -> ArrayClip:
    """The sound and the first second of frames of the example clip, the same to the bit on every platform."""
    frames, times = [], []
    with av.open(str(CLIP)) as container:
        for frame in container.decode(video=0):
            frames.append(_rgb(frame.to_ndarray(), frame.height))
            times.append(float(frame.time or 0.0))
            if len(frames) == FRAMES:
                break
    sound = np.concatenate([block.samples for block in open_source(CLIP, Limits()).sound()])
    return ArrayClip(audio=sound, frames=np.stack(frames), times_s=np.array(times))


def _rgb(planes: NDArray[np.uint8], height: int) -> NDArray[np.uint8]:
    """Convert a yuv420p frame, shape (1.5 H, W), to RGB, shape (H, W, 3), in whole numbers."""
    width = planes.shape[1]
    luma = 298 * (planes[:height].astype(np.int32) - 16)
    u, v = planes[height:].reshape(2, height // 2, width // 2).astype(np.int32) - 128
    u, v = (plane.repeat(2, axis=0).repeat(2, axis=1) for plane in (u, v))
    rgb = np.stack([luma + 409 * v, luma - 100 * u - 208 * v, luma + 516 * u], axis=-1)
    clipped: NDArray[np.uint8] = ((rgb + 128) >> 8).clip(0, 255).astype(np.uint8)
    return clipped


def _scores(result: ClipResult) -> Scores:
    return {path: dict(prediction.scores) for path, prediction in result.paths.items()}


def check() -> dict[str, Any]:
    """Run the check; see the top of this file."""
    with Recognizer(PACKAGED_BUNDLE, device="cpu") as recognizer:
        from_file = _scores(recognizer.predict(CLIP, all_paths=True))
        from_arrays = _scores(recognizer.predict(example_arrays(), all_paths=True))
        bundle = recognizer.identity.sha256
    return {
        "system": platform.system(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "onnxruntime": import_onnxruntime().__version__,
        "date": datetime.now(timezone.utc).date().isoformat(),
        "golden": golden_differences(),
        "file": from_file,
        "arrays": from_arrays,
        "bundle": bundle,
    }


if __name__ == "__main__":
    print(json.dumps(check()))

"""What is read of media: hashes of frames and face crops, and the sound.

    python -m tests.platforms.seen MEDIA...

Prints one line of JSON a file.
"""

import hashlib
import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from vavl_runtime.backends.ort.cpu import OnnxRuntimeBackend
from vavl_runtime.bundle import PACKAGED_BUNDLE, open_bundle
from vavl_runtime.media import open_source
from vavl_runtime.pipeline.availability import Presence
from vavl_runtime.pipeline.clip_reader import ClipReader
from vavl_runtime.pipeline.context import ClipContext
from vavl_runtime.pipeline.graph_runner import GraphRunner
from vavl_runtime.timing import StageTimer


def seen(media: Path) -> dict[str, Any]:
    """Read a file.

    Args:
        media: Its path.

    Returns:
        ``frames`` and ``crops``: how many, and a hash of their pixels; ``sound``: its mean magnitude in every 0.1 s.
    """
    timer = StageTimer()
    frames, crops = hashlib.sha256(), hashlib.sha256()
    counts = [0, 0]
    sound: list[float] = []
    with open_bundle(PACKAGED_BUNDLE) as bundle:
        graphs = GraphRunner(bundle, OnnxRuntimeBackend(threads=1), "fp32")
        limits, crop = bundle.manifest.limits, bundle.manifest.crop
        source = open_source(media, limits, timer)
        for frame in source.frames():
            frames.update(frame.pixels.tobytes())
            counts[0] += 1
        context = ClipContext(source, crop, limits, Presence(source, "auto", {}), timer)
        for window, faces in ClipReader(context, partial(graphs.run, timer=timer)).windows():
            if window is not None:
                whole = window.samples[: len(window.samples) // 1600 * 1600].reshape(-1, 1600)
                sound += np.abs(whole).mean(axis=1).tolist()
            if faces is not None:
                for pixels in faces.crops:
                    crops.update(pixels.tobytes())
                    counts[1] += 1
        graphs.close()
    return {"frames": [counts[0], frames.hexdigest()], "crops": [counts[1], crops.hexdigest()], "sound": sound}


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print(json.dumps(seen(Path(name))))

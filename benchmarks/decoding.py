"""A clip's sound and frames, decoded as PyAV's documentation shows it: what one would write without this runtime."""

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from vavl_runtime.media import Frame


def decode_sound(clip: Path) -> NDArray[np.float32]:
    """Decode the sound: mono, 16 kHz, shape (samples,)."""
    with av.open(str(clip)) as container:
        resampler = av.AudioResampler(format="flt", layout="mono", rate=16_000)
        parts = [part for frame in container.decode(audio=0) for part in resampler.resample(frame)]
        return np.concatenate([part.to_ndarray().reshape(-1) for part in [*parts, *resampler.resample(None)]])


def decode_frames(clip: Path) -> Iterator[Frame]:
    """Decode the frames: RGB, uint8, shape (height, width, 3) each."""
    with av.open(str(clip)) as container:
        for frame in container.decode(video=0):
            yield Frame(float(frame.time or 0.0), frame.to_ndarray(format="rgb24"))

"""Sound that is like a voice, and files that hold it in any number of channels."""

import struct
from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

RATE = 16_000


def voice(seconds: float = 2.0, peak: float = 0.3) -> NDArray[np.float32]:
    """Four syllables a second with a pitch that moves; its mean is zero."""
    time = np.arange(round(seconds * RATE)) / RATE
    phase = 2 * np.pi * np.cumsum(130 + 20 * np.sin(2 * np.pi * 1.3 * time)) / RATE
    harmonics = sum(np.sin(k * phase) / (1 + abs(k - 5)) for k in range(1, 20))
    sound = harmonics * np.maximum(0.0, np.sin(2 * np.pi * 4 * time)) ** 0.7
    sound -= sound.mean()
    return (sound * (peak / np.abs(sound).max())).astype(np.float32)


def write_channels(path: Path, channels: Sequence[NDArray[np.float32]], rate: int = RATE) -> Path:
    """Write float samples as a wav of any number of channels, with no layout."""
    data = np.stack(channels, axis=1).astype("<f4").tobytes()
    count = len(channels)
    form = struct.pack("<IHHIIHH", 16, 3, count, rate, rate * 4 * count, 4 * count, 32)
    header = b"RIFF" + struct.pack("<I", 36 + len(data)) + b"WAVEfmt " + form + b"data" + struct.pack("<I", len(data))
    path.write_bytes(header + data)
    return path


def write_packets(
    path: Path, codec: str, sound: NDArray[np.float32], *, layout: str = "mono", rate: int = RATE
) -> Path:
    """Encode sound, the same in each channel, in frames of 1024 samples."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        form = stream.codec_context.codec.audio_formats[0].name  # type: ignore[index]
        resampler = av.AudioResampler(format=form, layout=layout, rate=rate, frame_size=stream.frame_size or 1024)
        count = av.AudioLayout(layout).nb_channels
        frame = av.AudioFrame.from_ndarray(np.stack([sound] * count), format="fltp", layout=layout)
        frame.sample_rate, frame.pts = RATE, 0
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    return path

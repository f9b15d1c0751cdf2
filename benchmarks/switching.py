"""The README's picture: how the path switches when a modality leaves.

    python -m benchmarks.switching [CLIP] [-o docs/images/switching.svg]

Repeats CLIP (a face that speaks; by default the example clip) four times, blanks the frames of the middle part and
mutes the last part, and lets the packaged bundle predict window by window. The picture shows that run and nothing else.
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.decoding import decode_frames, decode_sound
from benchmarks.switching_drawing import draw
from vavl_runtime import ArrayClip, ClipResult, Recognizer
from vavl_runtime.files import write_atomically
from vavl_runtime.media.source import SAMPLE_RATE

ROOT = Path(__file__).parent.parent
REPEATS = 4
WINDOWS = 8
BLANK = range(3, 6)  # windows whose frames are black
MUTE = range(6, 8)  # windows without sound


@dataclass(frozen=True)
class Window:
    """One window of the clip and what was predicted for it.

    Attributes:
        start_s: Its start, seconds.
        length_s: Its length, seconds.
        audio: Mono, 16 kHz, shape (samples,).
        frames: RGB, shape (frames, height, width, 3).
        result: The prediction.
    """

    start_s: float
    length_s: float
    audio: NDArray[np.float32]
    frames: NDArray[np.uint8]
    result: ClipResult


def predict_windows(recognizer: Recognizer, clip: Path) -> list[Window]:
    """Build the clip whose modalities leave, and predict its windows one by one.

    Args:
        recognizer: An open recogniser.
        clip: A media file with one face and speech.

    Returns:
        The windows, in order.
    """
    audio = np.tile(decode_sound(clip), REPEATS)
    pixels = np.stack([frame.pixels for frame in decode_frames(clip)])
    length_s = len(audio) / SAMPLE_RATE / WINDOWS
    fps = REPEATS * len(pixels) / (WINDOWS * length_s)
    windows = []
    for number, (sound, at) in enumerate(
        zip(
            np.array_split(audio, WINDOWS),
            np.array_split(np.arange(REPEATS * len(pixels)) % len(pixels), WINDOWS),
            strict=True,
        )
    ):
        heard = np.zeros_like(sound) if number in MUTE else sound
        seen = np.zeros_like(pixels[at]) if number in BLANK else pixels[at]
        result = recognizer.predict(ArrayClip(audio=heard, frames=seen, fps=fps, name=clip.name))
        windows.append(Window(number * length_s, length_s, heard, seen, result))
    return windows


def main() -> int:
    """Predict and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path, nargs="?", default=ROOT / "examples" / "astronaut.mp4")
    parser.add_argument("--output", "-o", type=Path, default=ROOT / "docs" / "images" / "switching.svg")
    arguments = parser.parse_args()
    with Recognizer(device="cpu") as recognizer:
        windows = predict_windows(recognizer, arguments.clip)
    for window in windows:
        print(f"{window.start_s:5.1f} s  {window.result.path or 'no path':13} {window.result.label or ''}")
    write_atomically(arguments.output, draw(windows).encode())
    print(arguments.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Make ``examples/astronaut.mp4``: a 3.2 s clip with a face and a voice that are free to use and share.

Sources and their terms:
    Picture: the portrait of astronaut Eileen Collins that ships inside scikit-image (``skimage.data.astronaut``);
        NASA, public domain. The camera moves over it slowly; nothing in it is animated, so the lips do not move.
    Sound: one sentence by the speech synthesiser espeak-ng; GPL software, whose licence does not cover its output.

Usage: ``python examples/make_clip.py [OUTPUT]`` (needs ``pip install scikit-image`` and ``apt-get install espeak-ng``).
"""

import argparse
import subprocess
import sys
import tempfile
import wave
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageEnhance

from vavl_runtime.errors import OutputError
from vavl_runtime.files import file_beside

SENTENCE = "I am so glad that you came along today."
SIDE = 360  # pixels
FRAME_RATE = 25  # frames per second
FRAME_COUNT = 80
SAMPLE_RATE = 16000  # Hz
SAMPLE_COUNT = SAMPLE_RATE * FRAME_COUNT // FRAME_RATE
LEAD = SAMPLE_RATE // 5  # samples of silence before the voice
FIRST_VIEW = np.array([236.0, 172.0, 320.0])  # centre x, centre y and side of the square seen, portrait pixels
LAST_VIEW = np.array([222.0, 136.0, 250.0])


def load_portrait() -> Image.Image:
    """Load the portrait from scikit-image.

    Returns:
        The picture, 512 x 512 pixels, RGB, 8 bits a channel.

    Raises:
        FileNotFoundError: scikit-image is not installed.
    """
    try:
        from skimage import data
    except ImportError as error:
        raise FileNotFoundError("scikit-image is missing; install it with: pip install scikit-image") from error
    return Image.fromarray(data.astronaut())


def draw_frames(portrait: Image.Image) -> np.ndarray:
    """Move a camera smoothly over the portrait, a little brighter halfway.

    Args:
        portrait: The picture, 512 x 512 pixels, RGB.

    Returns:
        Frames [FRAME_COUNT, SIDE, SIDE, 3], uint8, RGB.
    """
    frames = np.empty((FRAME_COUNT, SIDE, SIDE, 3), np.uint8)
    for index, time in enumerate(np.linspace(0.0, 1.0, FRAME_COUNT)):
        x, y, side = FIRST_VIEW + (LAST_VIEW - FIRST_VIEW) * (1 - np.cos(np.pi * time)) / 2
        box = (x - side / 2, y - side / 2, x + side / 2, y + side / 2)
        view = portrait.resize((SIDE, SIDE), Image.Resampling.BICUBIC, box=box)
        frames[index] = np.asarray(ImageEnhance.Brightness(view).enhance(0.95 + 0.1 * np.sin(np.pi * time)))
    return frames


def speak() -> np.ndarray:
    """Let espeak-ng say the sentence, and put silence around it.

    Returns:
        Sound [SAMPLE_COUNT], int16, mono at SAMPLE_RATE Hz.

    Raises:
        FileNotFoundError: espeak-ng is not installed.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/voice.wav"
        command = ["espeak-ng", "-v", "en-us", "-s", "140", "-p", "60", "-w", path, SENTENCE]
        try:
            subprocess.run(command, check=True)
        except FileNotFoundError as error:
            raise FileNotFoundError("espeak-ng is missing; install it with: apt-get install espeak-ng") from error
        with wave.open(path) as file:
            rate, voice = file.getframerate(), np.frombuffer(file.readframes(file.getnframes()), "<i2")
    frame = av.AudioFrame.from_ndarray(voice[None], format="s16", layout="mono")
    frame.sample_rate = rate
    resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
    parts = [part.to_ndarray()[0] for part in (*resampler.resample(frame), *resampler.resample(None))]
    voice = np.concatenate(parts)[: SAMPLE_COUNT - LEAD]
    return np.pad(voice, (LEAD, SAMPLE_COUNT - LEAD - len(voice)))


def write_clip(path: Path, frames: np.ndarray, sound: np.ndarray) -> None:
    """Encode picture and sound as H.264 and AAC in MP4, with no time stamps in the metadata.

    Args:
        path: Where the clip goes; its name needs no ending.
        frames: Frames [N, SIDE, SIDE, 3], uint8, RGB.
        sound: Sound [samples], int16, mono at SAMPLE_RATE Hz.
    """
    options = {"movflags": "+faststart", "fflags": "+bitexact"}
    with av.open(str(path), "w", format="mp4", options=options) as container:
        picture = container.add_stream("libx264", rate=FRAME_RATE, options={"crf": "23", "flags": "+bitexact"})
        picture.width, picture.height, picture.pix_fmt = SIDE, SIDE, "yuv420p"
        picture.codec_context.thread_count = 1  # the bytes depend on it
        voice = container.add_stream("aac", rate=SAMPLE_RATE, layout="mono", bit_rate=48000)
        for frame in (*(av.VideoFrame.from_ndarray(pixels, format="rgb24") for pixels in frames), None):
            container.mux(picture.encode(frame))
        frame = av.AudioFrame.from_ndarray(sound[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts = SAMPLE_RATE, 0
        container.mux([*voice.encode(frame), *voice.encode(None)])


def main() -> int:
    """Make the clip; return the exit code: 0, or 3 when a tool is missing or the place cannot be written."""
    parser = argparse.ArgumentParser(description="Make the example clip: a face and a voice that are free to share.")
    default = Path(__file__).with_name("astronaut.mp4")
    parser.add_argument("output", nargs="?", type=Path, default=default, help="where it goes (default: %(default)s)")
    output = parser.parse_args().output
    try:
        frames, sound = draw_frames(load_portrait()), speak()
        with file_beside(output) as temporary:
            write_clip(temporary, frames, sound)
    except (FileNotFoundError, OutputError) as error:
        print(f"make_clip: {error}", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())

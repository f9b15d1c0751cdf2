"""The inputs that the commands get: short clips cut from the example, a corpus of them, its features, a bundle."""

import shutil
import subprocess
import sys
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from vavl_runtime.backends.trt.engine_store import FOLDER
from vavl_runtime.bundle import PACKAGED_BUNDLE

EXAMPLE = Path(__file__).parents[2] / "examples" / "astronaut.mp4"
RATE, FRAME_RATE = 16_000, 25
SECONDS, FRAMES = 0.8, 12  # of a clip
SPEAKERS = {"ann": "train", "ben": "train", "cam": "development", "dan": "test"}
LABELS = ("calm", "tense")


@dataclass(frozen=True)
class Inputs:
    """What all runs read.

    Attributes:
        clips: Folder of short sounds and films.
        manifest: A corpus of them: each clip has a sound and a film.
        features: Its feature cache.
        earlier: A finished run of other settings on these features.
        results: Earlier results of ``vavl-run`` on these clips, in JSON.
        engines: Earlier engines of the packaged bundle, for other lengths.
        traced: Folder for the graphs that PyTorch has traced.
    """

    clips: Path
    manifest: Path
    features: Path
    earlier: Path
    results: Path
    engines: Path
    traced: Path

    @classmethod
    def within(cls, folder: Path) -> "Inputs":
        """Where they lie in a folder."""
        names = ("clips", "clips.csv", "features", "earlier", "results.json", "engines", "traced")
        return cls(*(folder / name for name in names))


def make_inputs(folder: Path) -> Inputs:
    """Make the inputs, unless they are there.

    Args:
        folder: Where they go.
    """
    inputs = Inputs.within(folder)
    if not inputs.clips.exists():
        inputs.clips.mkdir(parents=True)
        inputs.traced.mkdir()
        inputs.manifest.write_text("\n".join(_write_clips(inputs.clips)) + "\n", "utf-8")
    corpus = ("manifest", str(inputs.manifest))
    if not inputs.features.exists():
        _run("vavl", "features", *corpus, "-o", str(inputs.features))
    if not inputs.earlier.exists():
        fit = ("vavl", "fit", *corpus, "--features", str(inputs.features), "--preset", "light", "--epochs", "1")
        _run(*fit, "--seed", "5", "-o", str(inputs.earlier))
    if not inputs.results.exists():
        _run("vavl_runtime", str(inputs.clips), "--audio-only", "-o", str(inputs.results))
    return inputs


def build_earlier_engines(inputs: Inputs, graphs: tuple[str, ...]) -> None:
    """Build engines of the packaged bundle with TensorRT-RTX, unless they are there."""
    if not inputs.engines.exists():
        bundle = Path(shutil.copytree(PACKAGED_BUNDLE, inputs.engines.with_name("bundle")))
        chosen = [part for graph in graphs for part in ("--graph", graph)]
        options = ("--precision", "fp32", "--compute-capability", "SM86", "--buckets", "6,12", *chosen)
        _run("vavl_export", "tensorrt", str(bundle), *options)
        (bundle / FOLDER).rename(inputs.engines)


def _write_clips(folder: Path) -> Iterator[str]:
    """Write sounds and films; gives the lines of their manifest."""
    yield "# name: kills"
    yield "id,speaker,audio,visual,label,split:1"
    sound, frames = _sound(), _frames()
    for number, (speaker, split) in enumerate(SPEAKERS.items()):
        for take, label in enumerate(LABELS):
            name = f"{speaker}-{label}"
            start = 2 * number + take
            _write_sound(folder / f"{name}.wav", sound[start * 3200 :][: round(SECONDS * RATE)])
            _write_film(folder / f"{name}.mp4", frames[start * 8 :][:FRAMES])
            yield f"{name},{speaker},clips/{name}.wav,clips/{name}.mp4,{label},{split}"


def _run(module: str, *arguments: str) -> None:
    subprocess.run([sys.executable, "-m", module, *arguments], check=True, stdout=subprocess.DEVNULL)


def _sound() -> "np.ndarray[tuple[int], np.dtype[np.int16]]":
    resampler = av.AudioResampler("s16", "mono", RATE)
    with av.open(str(EXAMPLE)) as container:
        frames = [part for frame in container.decode(audio=0) for part in resampler.resample(frame)]
    return np.concatenate([frame.to_ndarray()[0] for frame in frames])


def _frames() -> "list[av.VideoFrame]":
    with av.open(str(EXAMPLE)) as container:
        return list(container.decode(video=0))


def _write_sound(file: Path, samples: "np.ndarray[tuple[int], np.dtype[np.int16]]") -> None:
    with wave.open(str(file), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(samples.tobytes())


def _write_film(file: Path, frames: "list[av.VideoFrame]") -> None:
    with av.open(str(file), "w") as container:
        stream = container.add_stream("mpeg4", rate=FRAME_RATE)
        stream.width, stream.height = frames[0].width, frames[0].height
        stream.pix_fmt, stream.bit_rate = "yuv420p", 4_000_000
        for number, frame in enumerate(frames):
            frame.pts, frame.time_base = number, Fraction(1, FRAME_RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())

"""The packaged bundle answers a recording alike at other frame rates, with an offset, and in more channels."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.conftest import SHARED
from vavl_runtime import Recognizer
from vavl_runtime.bundle.manifest import Limits
from vavl_runtime.media import open_source

FILMS = SHARED / "corpora" / "javanese"
CLIPS = 24  # evenly spread over all films
MOST_FLIPS = 2
OFFSET = 0.02
RATE = 16_000

Sound = NDArray[np.float32]  # (samples, channels)
CHANGES: dict[str, tuple[int, Callable[[Sound], Sound]]] = {  # one frame in so many is kept; what becomes of the sound
    "half the frames": (2, lambda sound: sound),
    "a fifth of the frames": (5, lambda sound: sound),
    "an offset": (1, lambda sound: sound + np.float32(OFFSET)),
    "two channels": (1, lambda sound: sound.repeat(2, axis=1)),
    "six channels": (1, lambda sound: sound.repeat(6, axis=1)),
}
LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1"}


class Recording:
    """A film's decoded frames, as they are stored, and its sound."""

    def __init__(self, film: Path) -> None:
        with av.open(str(film)) as container:
            self.rate = container.streams.video[0].average_rate
            self.frames = list(container.decode(video=0))
        blocks = open_source(film, Limits()).sound()
        self.sound = np.concatenate([block.samples for block in blocks])[:, None]

    def write(self, path: Path, keep: int, change: Callable[[Sound], Sound]) -> Path:
        """Write it without loss, with one frame in ``keep`` and another sound."""
        sound = change(self.sound)
        with av.open(str(path), "w") as output:
            first: Any = self.frames[0]
            video: Any = output.add_stream("ffv1", rate=self.rate)
            video.width, video.height, video.pix_fmt = first.width, first.height, first.format.name
            video.codec_context.time_base = first.time_base
            audio: Any = output.add_stream("pcm_f32le", rate=RATE, layout=LAYOUTS[sound.shape[1]])
            for frame in self.frames[::keep]:
                frame.pict_type = 0  # the encoder chooses
                output.mux(video.encode(frame))
            output.mux(video.encode())
            block: Any = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(sound).reshape(1, -1), format="flt", layout=LAYOUTS[sound.shape[1]]
            )
            block.rate, block.pts = RATE, 0
            output.mux([*audio.encode(block), *audio.encode()])
        return path


@pytest.mark.slow
@pytest.mark.skipif(not FILMS.is_dir(), reason=f"{FILMS} is not there")
def test_few_labels_change(light_bundle: Path, tmp_path: Path) -> None:
    films = sorted(FILMS.rglob("*.mp4"))
    flips: dict[str, Counter[str]] = {name: Counter() for name in CHANGES}
    with Recognizer(light_bundle, device="cpu", threads=1) as recognizer:

        def labels(path: Path) -> dict[str, str | None]:
            answers = recognizer.predict(path, all_paths=True).paths
            return {name: answer.label for name, answer in answers.items()}

        for film in films[:: len(films) // CLIPS][:CLIPS]:
            recording = Recording(film)
            expected = labels(recording.write(tmp_path / "film.mkv", 1, lambda sound: sound))
            assert set(expected) == {"audio_visual", "audio", "visual"}
            for name, (keep, change) in CHANGES.items():
                found = labels(recording.write(tmp_path / "film.mkv", keep, change))
                flips[name].update(path for path in expected if found.get(path) != expected[path])
    assert all(count <= MOST_FLIPS for counts in flips.values() for count in counts.values()), flips

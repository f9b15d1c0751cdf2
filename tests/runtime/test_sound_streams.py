"""Which of several streams of sound is read: FFmpeg's best one, unless it is silent and another is not."""

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.runtime.made_sound import RATE, voice
from vavl_runtime import Recognizer
from vavl_runtime.bundle.manifest import Limits
from vavl_runtime.media import open_source
from vavl_runtime.media.streams import LOOK_S

SILENT = np.zeros(2 * RATE, np.float32)
VOICE = voice(2.0)


def write_tracks(path: Path, tracks: list[NDArray[np.float32]], default: int | None) -> Path:
    with av.open(str(path), "w") as container:
        streams: list[Any] = [container.add_stream("pcm_s16le", rate=RATE, layout="mono") for _ in tracks]
        for number, stream in enumerate(streams):
            stream.disposition = av.stream.Disposition.default if number == default else av.stream.Disposition(0)
        for start in range(0, max(map(len, tracks)), 1600):
            for stream, sound in zip(streams, tracks, strict=True):
                part = (sound[None, start : start + 1600] * 32767).astype(np.int16)
                if part.size:
                    frame = av.AudioFrame.from_ndarray(part, format="s16", layout="mono")
                    frame.sample_rate, frame.pts = RATE, start
                    container.mux(stream.encode(frame))
        for stream in streams:
            container.mux(stream.encode(None))
    return path


def loudness(path: Path) -> tuple[float, list[str]]:
    source = open_source(path, Limits())
    sound = np.concatenate([block.samples for block in source.sound()])
    return float(np.abs(sound).max()), [note.message for note in source.notes()]


@pytest.mark.parametrize("suffix", ["mkv", "mov"])
@pytest.mark.parametrize("default", [None, 0, 1, 2])
def test_a_silent_track_gives_way(suffix: str, default: int | None, tmp_path: Path) -> None:
    hiss = np.random.default_rng(0).standard_normal(2 * RATE).astype(np.float32) * np.float32(1e-4)
    loudest, (message,) = loudness(write_tracks(tmp_path / f"film.{suffix}", [SILENT, hiss, VOICE], default))
    assert loudest == pytest.approx(0.3, abs=0.01)
    assert message.startswith("sound is read from stream 2, of 0, 1, 2")


@pytest.mark.parametrize("default", [0, 1])
def test_of_two_that_sound_the_default_one_is_read(default: int, tmp_path: Path) -> None:
    tracks = [voice(2.0, 0.2), voice(2.0, 0.4)]
    loudest, (message,) = loudness(write_tracks(tmp_path / "film.mkv", tracks, default))
    assert loudest == pytest.approx((0.2, 0.4)[default], abs=0.01)
    assert message == f"sound is read from stream {default}, of 0, 1"


def test_if_all_are_silent_the_first_one_is_read(recognizer: Recognizer, tmp_path: Path) -> None:
    result = recognizer.predict(write_tracks(tmp_path / "film.mkv", [SILENT, SILENT], 0))
    assert (result.path, result.reasons.audio) == (None, "silence")
    assert "from stream 0, of 0, 1; silent in their first 10 s: 0, 1" in result.notes[0].message


def test_only_the_beginning_is_heard(tmp_path: Path) -> None:
    late = np.concatenate([np.zeros(round((LOOK_S + 2) * RATE), np.float32), 2 * VOICE])
    loudest, _ = loudness(write_tracks(tmp_path / "film.mkv", [late, VOICE], 0))
    assert loudest == pytest.approx(0.3, abs=0.01)


def test_a_single_silent_track_is_read_once_without_a_note(tmp_path: Path) -> None:
    assert loudness(write_tracks(tmp_path / "film.mkv", [SILENT], None)) == (0.0, [])

"""Time stamps of real containers: held pictures, holes in the sound, late sound, odd names, cut files."""

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from vavl_runtime.bundle.manifest import Limits
from vavl_runtime.media import open_source

RATE = 16_000


def _film(
    place: Path, times_s: list[float], last_s: float = 0.04, suffix_options: dict[str, str] | None = None
) -> Path:
    """A film whose frame n is a grey of value 10 n, shown at the given times."""
    with av.open(str(place), "w", options=suffix_options or {}) as output:
        stream = output.add_stream("libx264", rate=25, options={"preset": "ultrafast", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for number, time_s in enumerate(times_s):
            grey = np.full((48, 64, 3), 10 * number % 250, np.uint8)
            frame = av.VideoFrame.from_ndarray(grey, format="rgb24")
            frame.pts, frame.time_base = round(1000 * time_s), Fraction(1, 1000)
            frame.duration = round(1000 * ([*times_s[1:], times_s[-1] + last_s][number] - time_s))
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
    return place


def _sound(place: Path, spans_s: list[tuple[float, float]]) -> Path:
    """PCM sound in matroska, present only in the given spans."""
    with av.open(str(place), "w") as output:
        stream = output.add_stream("pcm_s16le", rate=RATE)
        stream.layout = "mono"
        for begin, end in spans_s:
            for start in range(round(begin * RATE), round(end * RATE), 1600):
                frame = av.AudioFrame.from_ndarray(np.full((1, 1600), 5000, np.int16), format="s16", layout="mono")
                frame.sample_rate, frame.pts, frame.time_base = RATE, start, Fraction(1, RATE)
                output.mux(stream.encode(frame))
        output.mux(stream.encode())
    return place


@pytest.mark.parametrize("times_s", [[0.0, 0.04, 0.08], [0.0, 0.5, 9.5], [0.0, 0.04, 3.0, 3.04]])
def test_frames_have_their_real_times(tmp_path: Path, times_s: list[float]) -> None:
    frames = list(open_source(_film(tmp_path / "film.mp4", times_s), Limits()).frames())
    assert [frame.time_s for frame in frames] == pytest.approx(times_s, abs=2e-3)
    for frame, after in pairwise(frames):
        assert frame.time_s + frame.shown_s == pytest.approx(after.time_s, abs=0.05)


def test_a_picture_held_for_long_is_not_a_cut_file(tmp_path: Path) -> None:
    frames = list(open_source(_film(tmp_path / "held.mp4", [0.0, 1.0], last_s=9.0), Limits()).frames())
    assert len(frames) == 2


def test_a_hole_in_the_sound_stays_a_hole(tmp_path: Path) -> None:
    blocks = list(open_source(_sound(tmp_path / "gap.mkv", [(0, 2), (10, 12)]), Limits()).sound())
    times = [block.start_s for block in blocks]
    assert sum(len(block.samples) for block in blocks) == pytest.approx(4 * RATE, abs=100)
    assert min(time for time in times if time > 3) == pytest.approx(10, abs=0.05)
    assert max(time for time in times if time < 5) < 2


@pytest.mark.parametrize("name", ["2024-01-01T10:00:00.mp4", "100%.mp4", "f%d.mp4", "http:x.mp4"])
def test_names_are_names(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _film(tmp_path / "plain.mp4", [0.0, 0.04]).rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert len(list(open_source(name, Limits()).frames())) == 2


@pytest.mark.parametrize(
    ("suffix", "options"), [("mp4", {"movflags": "faststart"}), ("mp4", {"movflags": "frag_keyframe"}), ("mkv", {})]
)
def test_a_film_cut_in_half_is_read_as_far_as_it_goes(tmp_path: Path, suffix: str, options: dict[str, str]) -> None:
    film = _film(tmp_path / f"film.{suffix}", [n / 25 for n in range(75)], suffix_options=options)
    whole = film.read_bytes()
    film.write_bytes(whole[: len(whole) // 2])
    source = open_source(film, Limits())
    frames = list(source.frames())
    assert 20 < len(frames) < 55
    assert "truncated" in [note.kind for note in source.notes()]
    film.write_bytes(whole)
    source = open_source(film, Limits())
    assert len(list(source.frames())) == 75
    assert source.notes() == ()

"""Memory: bounded for the paper's sizes, and the same for a long clip as for a short one."""

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import pytest

pytestmark = pytest.mark.slow

# VmHWM, not ru_maxrss: that one remembers the size of the test process it was forked from.
PEAK = """
import sys
from vavl_runtime import Recognizer
result = Recognizer(sys.argv[1]).predict(sys.argv[2])
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(result.path, result.duration_s, int(status["VmHWM"].split()[0]) / 1024)
"""


def _peak_mb(bundle: Path, clip: Path) -> tuple[str, float, float]:
    command = [sys.executable, "-c", PEAK, str(bundle), str(clip)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    path, duration, peak = done.stdout.split()
    return path, float(duration), float(peak)


def _looped(source: Path, place: Path, seconds: float, fps: int = 4, size: tuple[int, int] | None = None) -> Path:
    """Repeat a clip's pictures and sound for a length of time; a low frame rate keeps the test short."""
    width, height = size or (None, None)
    with av.open(str(source)) as container:
        frames = [frame.reformat(width, height, "yuv420p") for frame in container.decode(video=0)][::8]
    with av.open(str(source)) as container:
        resampler = av.AudioResampler(format="fltp", layout="mono", rate=16_000)
        sound = [part for frame in container.decode(audio=0) for part in resampler.resample(frame)]
    with av.open(str(place), "w") as output:
        video = output.add_stream("libx264", rate=fps, options={"preset": "ultrafast"})
        video.width, video.height = frames[0].width, frames[0].height
        audio = output.add_stream("aac", rate=16_000)
        written = 0
        for number in range(round(seconds * fps)):
            frame = frames[number % len(frames)]
            frame.pts, frame.time_base = number, Fraction(1, fps)
            output.mux(video.encode(frame))
            while written < (number + 1) * 16_000 // fps:
                part = sound[(written // 1024) % len(sound)]
                part.pts = written
                written += part.samples
                output.mux(audio.encode(part))
        output.mux(video.encode())
        output.mux(audio.encode())
    return place


@pytest.mark.long
def test_a_paper_sized_bundle_stays_under_3_gb(paper_bundle: Path, example_clip: Path) -> None:
    path, _, peak = _peak_mb(paper_bundle, example_clip)
    assert path == "audio_visual"
    assert peak < 3000


def test_a_film_in_4k_stays_under_700_mb(light_bundle: Path, example_clip: Path, tmp_path: Path) -> None:
    """At 60 frames a second more frames wait for the next detection than at 30."""
    film = _looped(example_clip, tmp_path / "film.mp4", seconds=1, fps=60, size=(3840, 2160))
    path, duration, peak = _peak_mb(light_bundle, film)
    assert path == "audio_visual"
    assert duration == pytest.approx(1, abs=0.1)
    assert peak < 700


def test_ten_minutes_cost_no_more_memory_than_one(light_bundle: Path, example_clip: Path, tmp_path: Path) -> None:
    peaks = {}
    for minutes in (1, 10):
        clip = _looped(example_clip, tmp_path / f"{minutes}.mp4", 60 * minutes)
        path, duration, peaks[minutes] = _peak_mb(light_bundle, clip)
        assert path == "audio_visual"
        assert duration == pytest.approx(60 * minutes, abs=1)
    assert peaks[10] <= 1.05 * peaks[1] + 5

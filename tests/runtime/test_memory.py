"""Memory: bounded for the paper's sizes, and the same for a long clip as for a short one."""

import subprocess
import sys
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


def _looped(source: Path, place: Path, seconds: int, fps: int = 4) -> Path:
    """Repeat a clip's pictures and sound for a length of time, at a low frame rate to keep the test short."""
    with av.open(str(source)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)][::8]
    with av.open(str(source)) as container:
        resampler = av.AudioResampler(format="fltp", layout="mono", rate=16_000)
        sound = [part for frame in container.decode(audio=0) for part in resampler.resample(frame)]
    with av.open(str(place), "w") as output:
        video = output.add_stream("libx264", rate=fps, options={"preset": "ultrafast"})
        video.height, video.width, _ = frames[0].shape
        audio = output.add_stream("aac", rate=16_000)
        written = 0
        for number in range(seconds * fps):
            output.mux(video.encode(av.VideoFrame.from_ndarray(frames[number % len(frames)], format="rgb24")))
            while written < (number + 1) * 16_000 // fps:
                part = sound[(written // 1024) % len(sound)]
                part.pts = written
                written += part.samples
                output.mux(audio.encode(part))
        output.mux(video.encode())
        output.mux(audio.encode())
    return place


def test_a_paper_sized_bundle_stays_under_3_gb(paper_bundle: Path, example_clip: Path) -> None:
    path, _, peak = _peak_mb(paper_bundle, example_clip)
    assert path == "audio_visual"
    assert peak < 3000


def test_ten_minutes_cost_no_more_memory_than_one(light_bundle: Path, example_clip: Path, tmp_path: Path) -> None:
    peaks = {}
    for minutes in (1, 10):
        clip = _looped(example_clip, tmp_path / f"{minutes}.mp4", 60 * minutes)
        path, duration, peaks[minutes] = _peak_mb(light_bundle, clip)
        assert path == "audio_visual"
        assert duration == pytest.approx(60 * minutes, abs=1)
    assert peaks[10] <= 1.05 * peaks[1] + 5

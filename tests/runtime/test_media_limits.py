"""Media that claim or hold too much: answered or refused quickly, in constant memory, and never with NaN."""

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.runtime.bad_clips import Maker, large_png, large_y4m
from tests.runtime.command_line import HANG_S, error_lines, records, run_apart, run_cli
from tests.runtime.made_media import RATE, jpeg, pcm16, tone, write_film, write_matroska, write_png, write_wav
from vavl_runtime import Recognizer
from vavl_runtime.bundle.manifest import Limits
from vavl_runtime.errors import OversizedMediaError
from vavl_runtime.media import file as media_file
from vavl_runtime.media.decoder_threads import threads_for
from vavl_runtime.media.file import FileSource

PEAK_MB = 350  # the runtime itself takes about 120

PROBE = """
import json, re, sys, time
from pathlib import Path
from vavl_runtime import InputError, Recognizer
with Recognizer(sys.argv[1], threads=2) as recognizer:
    start = time.perf_counter()
    try:
        result = recognizer.predict(sys.argv[2])
        found = result.to_dict()
    except InputError as error:
        found = {"error": error.kind}
found["seconds"] = time.perf_counter() - start
# Not ru_maxrss, which a child inherits from the process that forked it.
found["peak_mb"] = int(re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024
print(json.dumps(found))
"""


def predict_apart(bundle: Path, clip: Path) -> dict[str, Any]:
    """Predict in a process of its own and return the record with its time and peak memory."""
    command = [sys.executable, "-c", PROBE, str(bundle), str(clip)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANG_S)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def large_png_header(folder: Path) -> Path:
    """Four rows of an RGB picture that announces 16000, in about 1 kB; decoding it would take 768 MB."""
    return write_png(folder / "rgb.png", 16_000, 16_000, bits=8, colour=2, rows=4)


def test_wav_that_claims_a_billion_samples_gives_those_it_holds(light_bundle: Path, tmp_path: Path) -> None:
    clip = write_wav(tmp_path / "claims.wav", pcm16(tone(2000 / RATE)), claimed=2 * 10**9)
    found = predict_apart(light_bundle, clip)
    assert found["path"] == "audio"
    assert found["duration_s"] == pytest.approx(2000 / RATE, abs=1e-3)
    assert found["seconds"] < 10
    assert found["peak_mb"] < PEAK_MB


@pytest.mark.parametrize("make", [large_png, large_png_header, large_y4m])
def test_large_pictures_are_refused_before_they_fill_memory(make: Maker, light_bundle: Path, tmp_path: Path) -> None:
    found = predict_apart(light_bundle, make(tmp_path))
    assert found["error"] == OversizedMediaError.kind
    assert found["peak_mb"] < PEAK_MB


@pytest.mark.parametrize("size", [(8_000, 5_000), (8_000, 5_001)], ids=["at_the_limit", "beyond"])
def test_limit_on_pixels(size: tuple[int, int], tmp_path: Path) -> None:
    source = FileSource(write_png(tmp_path / "picture.png", *size, bits=1, colour=0), Limits())
    if size[0] * size[1] <= Limits().max_frame_pixels:
        assert next(source.frames()).pixels.shape == (5_000, 8_000, 3)
    else:
        with pytest.raises(OversizedMediaError, match="at most 40 million pixels expected"):
            next(source.frames())


@pytest.mark.parametrize("rate", [4_000, 8_000, 44_100, 768_000])
def test_odd_sample_rates_become_16_khz(rate: int, recognizer: Recognizer, tmp_path: Path) -> None:
    samples = np.sin(np.arange(rate) * (2 * np.pi * 220 / rate)).astype(np.float32)
    clip = write_wav(tmp_path / "rate.wav", pcm16(samples), rate=rate)
    result = recognizer.predict(clip)
    assert result.path == "audio"
    assert result.duration_s == pytest.approx(1.0, abs=0.01)
    sound = np.concatenate([block.samples for block in FileSource(clip, Limits()).sound()])
    peak_hz = np.abs(np.fft.rfft(sound * np.hanning(len(sound)))).argmax() * RATE / len(sound)
    assert peak_hz == pytest.approx(220, abs=2)


def test_absurdly_loud_sound_never_gives_nan(light_bundle: Path, tmp_path: Path) -> None:
    """Finite samples that overflow inside the encoder are an error or an answer of numbers, not of NaN."""
    loud = (tone() * np.float32(1e30)).astype("<f4").tobytes()
    result = run_cli(write_wav(tmp_path / "loud.wav", loud, code=3, bits=32), "--bundle", light_bundle)
    assert isinstance(result.exception, SystemExit | None)
    (record,) = records(result.stdout)
    assert record["error"] or all(math.isfinite(value) for value in record["scores"].values())


# What could hang: in a process of its own -----------------------------------------------------------------------


def test_time_stamps_far_in_the_future_do_not_hang(light_bundle: Path, tmp_path: Path) -> None:
    picture = jpeg(np.zeros((64, 64, 3), np.uint8))
    clip = write_matroska(tmp_path / "far.mkv", [picture] * 3, None, times_ms=[0, 40, 10**15])
    done = run_apart(clip, "--bundle", light_bundle)
    assert "Traceback" not in done.stderr
    assert done.returncode in (0, 3)


def test_ffmpeg_log_lines_never_wait_for_the_gil() -> None:
    """With any level but None, PyAV's log callback takes the GIL, in FFmpeg's decoder threads too.

    Freeing a decoder joins its threads while the GIL is held, so one late log line of a damaged stream is a deadlock.
    """
    assert av.logging.get_level() is None


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_film_damaged_half_way_does_not_hang(codec: str, light_bundle: Path, tmp_path: Path) -> None:
    clip = write_film(tmp_path / "film.mp4", codec)
    content = bytearray(clip.read_bytes())
    start, end = content.index(b"mdat") + 4, content.index(b"moov") - 4
    content[(start + end) // 2 : end] = b"\xff" * (end - (start + end) // 2)
    clip.write_bytes(content)
    done = run_apart(clip, "--bundle", light_bundle)
    assert "Traceback" not in done.stderr
    assert done.returncode in (0, 3)
    (record,) = records(done.stdout)
    assert len(error_lines(done.stderr)) == (record["error"] is not None)


def test_threads_of_the_decoder_can_be_limited(example_clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where several processes read clips, each of them has one; counting the cores would give more."""

    def no_count() -> int:
        raise AssertionError("the cores were counted")

    monkeypatch.setattr(media_file, "usable_cores", no_count)
    assert next(FileSource(example_clip, Limits(), decoder_threads=1).frames()).pixels.shape[2] == 3
    with pytest.raises(AssertionError, match="counted"):
        next(FileSource(example_clip, Limits()).frames())


class Codec:
    """Size and format of a stream."""

    def __init__(self, width: int, height: int, pixel_format: str | None = "yuv420p") -> None:
        self.width, self.height = width, height
        self.format = av.VideoFormat(pixel_format, width, height) if pixel_format else None


def test_decoders_of_large_pictures_have_few_threads() -> None:
    """Each thread keeps a frame: with 16 of them, a film in 4K and ten bits would take 400 MB more."""
    assert threads_for(Codec(1920, 1080), cores=16) == 16
    assert threads_for(Codec(3840, 2160), cores=1) == 1
    large = Codec(3840, 2160), Codec(3840, 2160, "yuv420p10le"), Codec(7680, 4320), Codec(3840, 2160, None)
    for codec in large:
        bits = codec.format.bits_per_pixel if codec.format else 12
        threads = threads_for(codec, cores=16)
        assert threads == 1 or threads * codec.width * codec.height * bits / 8 < 70e6
    assert threads_for(large[0], cores=16) >= 4
    assert threads_for(Codec(0, 0, None), cores=16) == 16  # a size that is not known yet


def test_a_film_is_decoded_by_that_many_threads(example_clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def threads(codec: Any, cores: int) -> int:
        asked.append((codec.width, codec.height, codec.format.name, cores))
        return 1

    monkeypatch.setattr(media_file, "threads_for", threads)
    frame = next(FileSource(example_clip, Limits(), decoder_threads=3).frames())
    assert asked == [(*frame.size[::-1], "yuv420p", 3)]

"""Media that cannot be used: each kind has its exception, its exit code and one line on stderr, and none hangs."""

import io
import json
import math
import os
import re
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from click.testing import Result
from numpy.typing import NDArray
from PIL import Image
from typer.testing import CliRunner

from vavl_runtime import Recognizer
from vavl_runtime.cli.run import app
from vavl_runtime.errors import (
    DamagedMediaError,
    EmptyFileError,
    EmptyStreamError,
    InputError,
    InvalidArrayError,
    NoMediaError,
    NoStreamsError,
    NotAFileError,
    NotFoundError,
    OversizedMediaError,
    UnreadableFileError,
    UnsupportedMediaError,
)
from vavl_runtime.manifest import Limits
from vavl_runtime.media.file import FileSource

RATE = 16_000
HANG_S = 30  # several times what the slowest of these clips takes on a busy machine
PEAK_MB = 350  # the runtime itself takes about 120


# Making media ---------------------------------------------------------------------------------------------------


def tone(seconds: float = 1.0) -> NDArray[np.float32]:
    return np.sin(np.arange(round(RATE * seconds)) * (2 * np.pi * 220 / RATE)).astype(np.float32) * np.float32(0.4)


def pcm16(samples: NDArray[np.float32]) -> bytes:
    return (samples * 32767).astype("<i2").tobytes()


def write_wav(
    path: Path, data: bytes, *, rate: int = RATE, code: int = 1, bits: int = 16, claimed: int | None = None
) -> Path:
    """Write a mono wav by hand; ``claimed`` is the number of data bytes that its header announces."""
    size, align = len(data) if claimed is None else claimed, bits // 8
    form = struct.pack("<IHHIIHH", 16, code, 1, rate, (rate * align) % 2**32, align, bits)
    header = b"RIFF" + struct.pack("<I", 36 + size) + b"WAVEfmt " + form + b"data" + struct.pack("<I", size)
    path.write_bytes(header + data)
    return path


def write_png(path: Path, width: int, height: int, *, bits: int, colour: int, rows: int | None = None) -> Path:
    """Write a black PNG by hand, row by row; with ``rows`` it holds fewer than it announces."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    row = bytes(1 + width * bits * {0: 1, 2: 3}[colour] // 8)
    packer = zlib.compressobj()
    data = b"".join(packer.compress(row) for _ in range(height if rows is None else rows)) + packer.flush()
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b""))
    return path


def jpeg(pixels: NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=95)
    return file.getvalue()


def write_matroska(
    path: Path,
    pictures: Sequence[bytes] | None,
    sound: NDArray[np.float32] | None,
    *,
    size: tuple[int, int] = (64, 64),
    times_ms: Sequence[int] | None = None,
) -> Path:
    """Write packets as they are: JPEG pictures at 25 a second and float sound, either of which may be nonsense."""
    with av.open(str(path), "w", format="matroska") as container:
        packets: list[tuple[int, av.Packet]] = []
        if pictures is not None:
            stream: Any = container.add_stream("mjpeg", rate=25)
            stream.width, stream.height = size
            stream.pix_fmt = "yuvj420p"
            times = times_ms or range(0, 40 * len(pictures), 40)
            packets += [(ms, _packet(stream, data, ms)) for ms, data in zip(times, pictures, strict=True)]
        if sound is not None:
            stream = container.add_stream("pcm_f32le", rate=RATE, layout="mono")
            for start in range(0, len(sound), 1600):
                part = sound[start : start + 1600].astype("<f4").tobytes()
                packets.append((start * 1000 // RATE, _packet(stream, part, start * 1000 // RATE)))
        container.start_encoding()
        for _, packet in sorted(packets, key=lambda item: item[0]):
            container.mux(packet)
    return path


def _packet(stream: Any, data: bytes, time_ms: int) -> av.Packet:
    packet = av.Packet(data)
    packet.stream = stream
    packet.time_base = Fraction(1, 1000)
    packet.pts = packet.dts = time_ms
    packet.is_keyframe = True
    return packet


def write_film(path: Path, codec: str = "mpeg4", frames: int = 25) -> Path:
    """Encode noise, 64 x 64, and a tone."""
    noise = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        video: Any = container.add_stream(codec, rate=25)
        video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
        audio: Any = container.add_stream("aac", rate=RATE, layout="mono")
        for _ in range(frames):
            pixels = noise.integers(0, 255, (64, 64, 3), dtype=np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(video.encode(None))
        samples = tone(frames / 25)
        for start in range(0, len(samples), 1024):
            frame = av.AudioFrame.from_ndarray(samples[None, start : start + 1024], format="fltp", layout="mono")
            frame.sample_rate, frame.pts = RATE, start
            container.mux(audio.encode(frame))
        container.mux(audio.encode(None))
    return path


def face_pictures(count: int = 5) -> list[bytes]:
    """JPEGs of a real face, 256 x 256, from the pictures that scikit-image carries."""
    data = pytest.importorskip("skimage.data", reason="scikit-image carries the picture of a face")
    return [jpeg(np.ascontiguousarray(data.astronaut()[:256, 100:356]))] * count


def film_of_a_face(path: Path, pictures: Sequence[bytes] | None, sound: NDArray[np.float32] | None) -> Path:
    return write_matroska(path, pictures, sound, size=(256, 256))


# Running --------------------------------------------------------------------------------------------------------


def run_cli(*arguments: object) -> Result:
    return CliRunner().invoke(app, [*map(str, arguments), "--threads", "2", "-f", "jsonl"])


def error_lines(stderr: str) -> list[str]:
    """What is on stderr besides the notice that the bundle is untrained and progress."""
    return [line for line in stderr.splitlines() if "UNTRAINED" not in line and not re.match(r"\[\d+/\d+\] ", line)]


def records(stdout: str) -> list[dict[str, Any]]:
    """Parse JSON lines strictly: NaN is not JSON."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return [json.loads(line, parse_constant=refuse) for line in stdout.splitlines()]


def run_apart(*arguments: object, timeout_s: float = HANG_S, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run ``vavl-run`` in a process of its own, the only way to survive a deadlock that holds the GIL."""
    command = [sys.executable, "-c", "from vavl_runtime.cli.run import main; main()"]
    command += [*map(str, arguments), "--threads", "2", "-f", "jsonl"]
    env = os.environ | environment
    return subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=timeout_s, env=env)


PROBE = """
import json, re, sys, time
from pathlib import Path
from vavl_runtime import InputError, Recognizer
with Recognizer(sys.argv[1], threads=2) as recognizer:
    start = time.perf_counter()
    try:
        result = recognizer.predict(sys.argv[2])
        found = result.to_json()
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


# Clips that cannot be answered ----------------------------------------------------------------------------------

Maker = Callable[[Path], Path]


def missing(folder: Path) -> Path:
    return folder / "missing.mp4"


def below_a_file(folder: Path) -> Path:
    (folder / "file").write_bytes(b"x")
    return folder / "file" / "clip.mp4"


def empty_file(folder: Path) -> Path:
    (folder / "empty.mp4").touch()
    return folder / "empty.mp4"


def fifo(folder: Path) -> Path:
    os.mkfifo(folder / "pipe.mp4")
    return folder / "pipe.mp4"


def text_file(folder: Path) -> Path:
    (folder / "text.mp4").write_text("This is not a film.\n" * 100)
    return folder / "text.mp4"


def subtitles(folder: Path) -> Path:
    (folder / "talk.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nHello.\n\n")
    return folder / "talk.srt"


def subtitles_in_matroska(folder: Path) -> Path:
    path = folder / "talk.mkv"
    with av.open(str(subtitles(folder))) as source, av.open(str(path), "w") as container:
        stream = container.add_stream_from_template(source.streams.subtitles[0])
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = stream
                container.mux(packet)
    return path


def half_mp4(folder: Path) -> Path:
    """An mp4 keeps its table at the end, so half of it is no film at all."""
    path = write_film(folder / "half.mp4")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def wav_with(value: float) -> Maker:
    def make(folder: Path) -> Path:
        samples = tone()
        samples[8000:8010] = value
        return write_wav(folder / "float.wav", samples.astype("<f4").tobytes(), code=3, bits=32)

    return make


def wav_without_samples(folder: Path) -> Path:
    return write_wav(folder / "none.wav", b"")


def half_a_header(folder: Path) -> Path:
    path = write_wav(folder / "half.wav", b"")
    path.write_bytes(path.read_bytes()[:30])
    return path


def wav_at(rate: int) -> Maker:
    return lambda folder: write_wav(folder / "rate.wav", pcm16(tone()), rate=rate)


def large_png(folder: Path) -> Path:
    """Complete: 16000 x 16000 black or white pixels, in about 30 kB."""
    return write_png(folder / "large.png", 16_000, 16_000, bits=1, colour=0)


def large_png_header(folder: Path) -> Path:
    """Four rows of an RGB picture that announces 16000, in about 1 kB; decoding it would take 768 MB."""
    return write_png(folder / "rgb.png", 16_000, 16_000, bits=8, colour=2, rows=4)


def large_y4m(folder: Path) -> Path:
    (folder / "large.y4m").write_bytes(b"YUV4MPEG2 W16000 H16000 F25:1 C420jpeg\nFRAME\n" + bytes(1000))
    return folder / "large.y4m"


def video_without_frames(folder: Path) -> Path:
    (folder / "none.y4m").write_bytes(b"YUV4MPEG2 W64 H64 F25:1 C420jpeg\n")
    return folder / "none.y4m"


def garbage_pictures(folder: Path) -> Path:
    good = jpeg(np.zeros((64, 64, 3), np.uint8))
    return write_matroska(folder / "garbage.mkv", [good, good, b"\x00" * 500, good], None)


def both_broken(folder: Path) -> Path:
    sound = tone()
    sound[100] = np.nan
    return write_matroska(folder / "both.mkv", [b"\x00" * 500] * 3, sound)


BAD: dict[str, tuple[Maker, type[InputError], str]] = {
    "missing": (missing, NotFoundError, "no such file"),
    "below_a_file": (below_a_file, NotFoundError, "no such file"),
    "empty_file": (empty_file, EmptyFileError, r"empty file \(0 bytes\)"),
    "fifo": (fifo, NotAFileError, "not a regular file; expected a media file"),
    "dev_zero": (lambda _: Path("/dev/zero"), NotAFileError, "not a regular file; expected a media file"),
    "dev_null": (lambda _: Path("/dev/null"), NotAFileError, "not a regular file; expected a media file"),
    "text_file": (text_file, UnsupportedMediaError, r"not a media file that can be opened .*; expected a video"),
    "half_mp4": (half_mp4, UnsupportedMediaError, r"not a media file that can be opened .*; expected a video"),
    "half_a_header": (half_a_header, UnsupportedMediaError, "not a media file that can be opened"),
    "subtitles": (subtitles, NoStreamsError, "neither sound nor picture"),
    "subtitles_in_matroska": (subtitles_in_matroska, NoStreamsError, "neither sound nor picture"),
    "nan_sound": (wav_with(math.nan), DamagedMediaError, "sound holds NaN, infinite or absurdly large samples"),
    "infinite_sound": (wav_with(math.inf), DamagedMediaError, "sound holds NaN, infinite or absurdly large samples"),
    "no_samples": (wav_without_samples, EmptyStreamError, "announces sound but holds no decodable sample"),
    "no_frames": (video_without_frames, EmptyStreamError, "announces a picture but holds no decodable frame"),
    "garbage_pictures": (garbage_pictures, DamagedMediaError, "picture breaks after 2 decoded frames"),
    "rate_1": (wav_at(1), OversizedMediaError, "sound at 1 Hz, expected 4000 to 768000 Hz"),
    "rate_3999": (wav_at(3_999), OversizedMediaError, "sound at 3999 Hz, expected 4000 to 768000 Hz"),
    "rate_1_million": (wav_at(1_000_000), OversizedMediaError, "sound at 1000000 Hz, expected 4000 to 768000 Hz"),
    "large_png": (large_png, OversizedMediaError, "frames .*at most 40 million pixels expected"),
    "large_y4m": (large_y4m, OversizedMediaError, "frames of 16000 x 16000, at most 40 million pixels expected"),
    "both_broken": (both_broken, DamagedMediaError, "sound holds NaN"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_media_has_its_own_exception(case: str, recognizer: Recognizer, tmp_path: Path) -> None:
    make, expected, message = BAD[case]
    clip = make(tmp_path)
    with pytest.raises(InputError, match=message) as caught:
        recognizer.predict(clip)
    assert type(caught.value) is expected
    assert str(clip) in str(caught.value)


@pytest.mark.parametrize("case", BAD)
def test_bad_media_is_one_line_and_exit_code_3(case: str, light_bundle: Path, tmp_path: Path) -> None:
    make, expected, message = BAD[case]
    clip = make(tmp_path)
    result = run_cli(clip, "--bundle", light_bundle)
    assert result.exit_code == 3, result.output
    assert isinstance(result.exception, SystemExit)
    assert re.fullmatch(f"error: {re.escape(str(clip))}: .*{message}.*", "\n".join(error_lines(result.stderr)))
    (record,) = records(result.stdout)
    assert record["path"] is None
    assert record["error"]["kind"] == expected.kind
    assert re.search(message, record["error"]["message"])


def test_a_process_of_its_own_says_the_same(light_bundle: Path, tmp_path: Path) -> None:
    good = write_wav(tmp_path / "good.wav", pcm16(tone()))
    done = run_apart(text_file(tmp_path), good, missing(tmp_path), "--bundle", light_bundle)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert [line.split(": ")[0] for line in error_lines(done.stderr)] == ["error", "error"]
    found = records(done.stdout)
    assert [record["error"] and record["error"]["kind"] for record in found] == ["unsupported_media", None, "not_found"]
    assert found[1]["path"] == "audio"


def test_folder_through_the_api_is_not_a_file(recognizer: Recognizer, tmp_path: Path) -> None:
    with pytest.raises(NotAFileError, match="not a regular file; expected a media file") as caught:
        recognizer.predict(tmp_path)
    assert type(caught.value) is NotAFileError


def test_folder_on_the_command_line_means_the_media_inside(light_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not media")
    (tmp_path / "deep").mkdir()
    second = write_wav(tmp_path / "deep" / "b.WAV", pcm16(tone()))
    first = write_wav(tmp_path / "a.wav", pcm16(tone()))
    result = run_cli(tmp_path, "--bundle", light_bundle)
    assert result.exit_code == 0, result.output
    assert [record["clip"] for record in records(result.stdout)] == [str(first), str(second)]


def test_folder_without_media(light_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not media")
    result = run_cli(tmp_path, "--bundle", light_bundle)
    assert result.exit_code == NoMediaError.exit_code == 3
    assert records(result.stdout)[0]["error"]["kind"] == NoMediaError.kind
    (line,) = error_lines(result.stderr)
    assert line.startswith(f"error: {tmp_path}: no media file in this folder (.3gp .aac")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_file_without_permission(recognizer: Recognizer, tmp_path: Path) -> None:
    clip = write_wav(tmp_path / "secret.wav", pcm16(tone()))
    clip.chmod(0)
    with pytest.raises(UnreadableFileError, match="no permission to read it"):
        recognizer.predict(clip)


def test_file_without_permission_even_for_root(
    recognizer: Recognizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = write_wav(tmp_path / "secret.wav", pcm16(tone()))
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != clip)
    with pytest.raises(UnreadableFileError, match="no permission to read it") as caught:
        recognizer.predict(clip)
    assert type(caught.value) is UnreadableFileError


def test_file_without_permission_spoils_only_its_own_record(
    light_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command line's own check of paths must not stop a whole batch with exit code 2."""
    clip = write_wav(tmp_path / "secret.wav", pcm16(tone()))
    good = write_wav(tmp_path / "good.wav", pcm16(tone()))
    monkeypatch.setattr(os, "access", lambda path, mode: Path(os.fsdecode(path)) != clip)
    result = run_cli(good, clip, "--bundle", light_bundle)
    assert result.exit_code == 1, result.stderr
    assert error_lines(result.stderr) == [f"error: {clip}: no permission to read it"]
    assert [record["error"] and record["error"]["kind"] for record in records(result.stdout)] == [
        None,
        UnreadableFileError.kind,
    ]


@pytest.mark.parametrize("name", ["nu\0ll.mp4", "x" * 300 + ".mp4"], ids=["null", "long"])
def test_name_that_the_system_refuses(name: str, recognizer: Recognizer, tmp_path: Path) -> None:
    with pytest.raises(UnreadableFileError, match="cannot be read") as caught:
        recognizer.predict(tmp_path / name)
    assert type(caught.value) is UnreadableFileError


def test_name_that_is_too_long_on_the_command_line(light_bundle: Path, tmp_path: Path) -> None:
    result = run_cli(tmp_path / ("x" * 300 + ".mp4"), "--bundle", light_bundle)
    assert result.exit_code == 3, repr(result.exception)
    assert len(error_lines(result.stderr)) == 1
    assert records(result.stdout)[0]["error"]["kind"] == "unreadable_file"


def test_name_that_is_not_text_can_be_written(light_bundle: Path, tmp_path: Path) -> None:
    clip = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.wav"))
    try:
        write_wav(clip, pcm16(tone()))
    except OSError:
        pytest.skip("this file system wants UTF-8 names")
    printed = run_apart(clip, "--bundle", light_bundle, PYTHONIOENCODING="utf-8:strict")
    assert "Traceback" not in printed.stderr
    assert printed.returncode == 0
    written = run_apart(clip, "--bundle", light_bundle, "-o", tmp_path / "out.jsonl")
    assert "Traceback" not in written.stderr
    assert written.returncode == 0
    assert records((tmp_path / "out.jsonl").read_text(errors="replace"))[0]["path"] == "audio"


def test_name_with_a_line_break_is_still_one_line(light_bundle: Path, tmp_path: Path) -> None:
    result = run_cli(tmp_path / "two\nlines.mp4", "--bundle", light_bundle)
    assert result.exit_code == 3
    assert len(error_lines(result.stderr)) == 1


# Limits: quick, and constant in memory --------------------------------------------------------------------------


def test_wav_that_claims_a_billion_samples_gives_those_it_holds(light_bundle: Path, tmp_path: Path) -> None:
    clip = write_wav(tmp_path / "claims.wav", pcm16(tone(1000 / RATE)), claimed=2 * 10**9)
    found = predict_apart(light_bundle, clip)
    assert found["path"] == "audio"
    assert found["duration_s"] == pytest.approx(1000 / RATE, abs=1e-3)
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
    done = run_apart(clip, "--bundle", light_bundle, timeout_s=10)
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


# One modality breaks, the other answers -------------------------------------------------------------------------


def broken_sound() -> NDArray[np.float32]:
    sound = tone()
    sound[5000] = np.nan
    return sound


@pytest.mark.parametrize(
    ("sound", "reason"), [(broken_sound(), "damaged_media"), (tone(0), "empty_stream")], ids=["damaged", "empty"]
)
def test_picture_answers_when_the_sound_is_broken(
    sound: NDArray[np.float32], reason: str, recognizer: Recognizer, light_bundle: Path, tmp_path: Path
) -> None:
    clip = film_of_a_face(tmp_path / "film.mkv", face_pictures(), sound)
    whole = film_of_a_face(tmp_path / "picture.mkv", face_pictures(), None)
    result = recognizer.predict(clip)
    assert (result.path, result.reasons.audio, result.reasons.visual) == ("visual", reason, None)
    assert (result.faces.frames, result.faces.with_face) == (5, 5)
    assert result.scores == pytest.approx(recognizer.predict(whole).scores, abs=1e-5)
    cli = run_cli(clip, "--bundle", light_bundle)
    assert cli.exit_code == 0
    assert error_lines(cli.stderr) == []
    assert records(cli.stdout)[0]["reasons"] == {"audio": reason, "visual": None}


@pytest.mark.parametrize(
    ("pictures", "reason"), [([jpeg(np.zeros((64, 64, 3), np.uint8)), b"\x00" * 500], "damaged_media"),
                             ([], "empty_stream")], ids=["damaged", "empty"],
)  # fmt: skip
def test_sound_answers_when_the_picture_is_broken(
    pictures: list[bytes], reason: str, recognizer: Recognizer, light_bundle: Path, tmp_path: Path
) -> None:
    clip = write_matroska(tmp_path / "film.mkv", pictures, tone())
    whole = write_matroska(tmp_path / "sound.mkv", None, tone())
    result = recognizer.predict(clip)
    assert (result.path, result.reasons.audio, result.reasons.visual) == ("audio", None, reason)
    assert result.scores == pytest.approx(recognizer.predict(whole).scores, abs=1e-5)
    cli = run_cli(clip, "--bundle", light_bundle)
    assert cli.exit_code == 0
    assert error_lines(cli.stderr) == []
    assert records(cli.stdout)[0]["reasons"] == {"audio": None, "visual": reason}


def test_sound_answers_when_the_picture_is_too_large(recognizer: Recognizer, tmp_path: Path) -> None:
    """An AVI whose header claims 16000 x 16000 pixels, with sound that is fine."""
    path = tmp_path / "large.avi"
    with av.open(str(path), "w") as container:
        video: Any = container.add_stream("rawvideo", rate=25)
        video.width, video.height, video.pix_fmt = 64, 64, "bgr24"
        audio: Any = container.add_stream("pcm_s16le", rate=RATE, layout="mono")
        frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="bgr24")
        container.mux(video.encode(frame))
        sound = av.AudioFrame.from_ndarray((tone() * 32767).astype(np.int16)[None], format="s16", layout="mono")
        sound.sample_rate = RATE
        container.mux(audio.encode(sound))
    content = bytearray(path.read_bytes())
    sizes = content.index(b"strf") + 12  # BITMAPINFOHEADER: size of the header, then width and height
    assert struct.unpack_from("<i", content, sizes)[0] == 64
    struct.pack_into("<ii", content, sizes, 16_000, 16_000)
    path.write_bytes(content)
    result = recognizer.predict(path)
    assert (result.path, result.reasons.audio, result.reasons.visual) == ("audio", None, "oversized_media")


def test_both_whole_is_audio_visual(recognizer: Recognizer, tmp_path: Path) -> None:
    result = recognizer.predict(film_of_a_face(tmp_path / "film.mkv", face_pictures(), tone(0.2)))
    assert (result.path, result.reasons.audio, result.reasons.visual) == ("audio_visual", None, None)


@pytest.mark.parametrize("use", ["audio", "visual"])
def test_the_modality_that_is_not_asked_for_is_never_touched(
    use: Any, recognizer: Recognizer, light_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = face_pictures() if use == "visual" else [b"\x00" * 500] * 5
    clip = film_of_a_face(tmp_path / "film.mkv", pictures, tone() if use == "audio" else broken_sound())
    other = {"audio": "visual", "visual": "audio"}[use]

    def touched(source: FileSource) -> None:
        raise AssertionError(f"{other} was touched")

    monkeypatch.setattr(FileSource, {"visual": "frames", "audio": "sound"}[other], touched)
    result = recognizer.predict(clip, use=use)
    assert result.path == use
    assert getattr(result.reasons, other) == "user_choice"
    cli = run_cli(clip, f"--{use}-only", "--bundle", light_bundle)
    assert cli.exit_code == 0, cli.output
    assert records(cli.stdout)[0]["reasons"] == {use: None, other: "user_choice"}


@pytest.mark.parametrize("use", ["audio", "visual"])
def test_broken_modality_that_alone_is_asked_for_is_an_error(use: Any, recognizer: Recognizer, tmp_path: Path) -> None:
    pictures = face_pictures() if use == "audio" else [b"\x00" * 500] * 5
    clip = film_of_a_face(tmp_path / "film.mkv", pictures, tone() if use == "visual" else broken_sound())
    with pytest.raises(DamagedMediaError, match="sound holds NaN" if use == "audio" else "picture breaks after 0"):
        recognizer.predict(clip, use=use)


def test_unknown_use(recognizer: Recognizer, tmp_path: Path) -> None:
    wrong: Any = "both"
    with pytest.raises(InvalidArrayError, match="got 'both', expected 'auto', 'audio' or 'visual'"):
        recognizer.predict(tmp_path / "clip.wav", use=wrong)


def test_both_modalities_excluded_on_the_command_line(tmp_path: Path) -> None:
    result = run_cli(tmp_path / "clip.wav", "--audio-only", "--visual-only")
    assert result.exit_code == 2
    assert "exclude each other" in result.stderr

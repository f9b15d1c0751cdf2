"""Real media, odd on purpose: each file is answered or refused as documented, never with a traceback or a hang."""

import inspect
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from typer.testing import CliRunner

from vavl_runtime import Recognizer, errors
from vavl_runtime.bundle.manifest import Limits
from vavl_runtime.cli.run import app
from vavl_runtime.media import open_source

HANG_S = 60
KINDS = {
    value.kind for value in vars(errors).values() if inspect.isclass(value) and issubclass(value, errors.VavlError)
}


class Expected(NamedTuple):
    """What a clip gives: a path and reasons, or the kind of an error."""

    path: str | None = None
    audio: str | None = None
    visual: str | None = None
    error: str | None = None


CLIPS = {
    "attached_picture.mp3": Expected(None, "silence", "no_video_stream"),
    "audio_only.mp4": Expected("audio", None, "no_video_stream"),
    "av1.mkv": Expected(None, "no_audio_stream", "no_face"),
    "empty_table.mp4": Expected(error="empty_stream"),
    "face_pexels.mp4": Expected("visual", "silence", None),
    "face_then_none_vfr.mov": Expected("audio", visual="mostly_absent"),  # the sound begins as the face ends
    "failing_audio.mp4": Expected("audio", None, "no_face"),
    "grid_bbaf2n.mpg": Expected("audio_visual"),
    "grid_lbax4n.mpg": Expected("audio_visual"),
    "grid_swiz3n.mpg": Expected("audio_visual"),
    "h265_10bit.mp4": Expected(None, "no_audio_stream", "no_face"),
    "header_only.flv": Expected(error="unsupported_media"),
    "no_duration.webm": Expected(None, "silence", "no_face"),
    "no_face_cartoon.mp4": Expected("audio", None, "no_face"),
    "no_frames.mp4": Expected(error="empty_stream"),
    "rotated_180_vfr_phone.mp4": Expected("audio", None, "no_face"),
    "rotated_90.mov": Expected(None, "no_audio_stream", "no_face"),
    "several_faces.jpg": Expected("visual", "no_audio_stream", None),
    "several_streams.mp4": Expected("audio", None, "no_face"),
    "truncated_stream.mp4": Expected(error="damaged_media"),
    "unordered_pts.mov": Expected(None, "no_audio_stream", "no_face"),
}
SLOW = {"face_pexels.mp4"}  # 20 s with a face in every frame


class Done(NamedTuple):
    """What a command left behind."""

    code: int
    records: list[dict[str, Any]]
    errors: list[str]


def run_apart(clips: list[Path], bundle: Path) -> Done:
    """Run ``vavl-run`` in a process of its own: a deadlock in FFmpeg's threads holds the GIL and hangs its process."""
    code = "from vavl_runtime.cli.run import main; main()"
    command = [sys.executable, "-c", code, *map(str, clips), "--bundle", str(bundle), "-f", "jsonl", "--threads", "2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANG_S)
    return _done(done.returncode, done.stdout, done.stderr)


def run_here(clips: list[Path], bundle: Path) -> Done:
    arguments = [*map(str, clips), "--bundle", str(bundle), "-f", "jsonl", "--threads", "2"]
    result = CliRunner().invoke(app, arguments)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return _done(result.exit_code, result.stdout, result.stderr)


def _done(code: int, stdout: str, stderr: str) -> Done:
    assert "Traceback" not in stderr
    notes = re.compile(r"bundle .*: UNTRAINED, |\[\d+/\d+\] |device auto: ")
    lines = [line for line in stderr.splitlines() if not notes.match(line)]
    return Done(code, [json.loads(line) for line in stdout.splitlines()], lines)


def check(record: dict[str, Any], expected: Expected) -> None:
    if expected.error is not None:
        assert record["error"]["kind"] == expected.error
        assert record["error"]["kind"] in KINDS
        assert (record["path"], record["scores"]) == (None, {})
        return
    assert record["error"] is None
    found = Expected(record["path"], record["reasons"]["audio"], record["reasons"]["visual"])
    assert found == expected
    assert bool(record["scores"]) == (record["path"] is not None)
    assert record["duration_s"] >= 0
    assert record["faces"]["with_face"] <= record["faces"]["frames"]
    if record["path"] is not None:
        assert sum(record["scores"].values()) == pytest.approx(1, abs=1e-4)
        assert record["label"] == max(record["scores"], key=record["scores"].get)


def test_every_clip_has_an_expectation(shared: Path) -> None:
    assert {path.name for path in (shared / "clips").iterdir()} - {"README.md"} == CLIPS.keys()


def parameters() -> Iterator[Any]:
    for name in CLIPS:
        yield pytest.param(name, marks=pytest.mark.slow if name in SLOW else ())


@pytest.mark.parametrize("name", parameters())
def test_clip_is_answered_or_refused_as_documented(name: str, light_bundle: Path, shared: Path) -> None:
    clip, expected = shared / "clips" / name, CLIPS[name]
    # A damaged stream is where decoder threads still have something to log while they are being freed.
    run = run_apart if expected.error or name == "failing_audio.mp4" else run_here
    done = run([clip], light_bundle)
    (record,) = done.records
    assert record["clip"] == str(clip)
    check(record, expected)
    if expected.error:
        assert done.code == 3
        assert done.errors == [f"error: {record['error']['message']}"]
        assert str(clip) in record["error"]["message"]
    else:
        assert done.code == 0
        assert done.errors == []


def first(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if not found:
        pytest.skip(f"no {pattern} in {folder}")
    return found[0]


def test_javanese_sound(light_bundle: Path, shared: Path) -> None:
    done = run_here([first(shared / "corpora" / "javanese" / "audio", "*.flac")], light_bundle)
    assert (done.code, done.errors) == (0, [])
    check(done.records[0], Expected("audio", None, "no_video_stream"))


def test_javanese_film(light_bundle: Path, shared: Path) -> None:
    done = run_here([first(shared / "corpora" / "javanese" / "video", "*.mp4")], light_bundle)
    assert (done.code, done.errors) == (0, [])
    check(done.records[0], Expected("audio_visual"))


def test_bad_clip_between_two_good_ones_spoils_neither(light_bundle: Path, shared: Path) -> None:
    names = ["several_faces.jpg", "header_only.flv", "audio_only.mp4"]
    done = run_here([shared / "clips" / name for name in names], light_bundle)
    assert done.code == 1
    assert [Path(record["clip"]).name for record in done.records] == names
    for record, name in zip(done.records, names, strict=True):
        check(record, CLIPS[name])
    assert done.errors == [f"error: {done.records[1]['error']['message']}"]


def test_only_bad_clips(light_bundle: Path, shared: Path) -> None:
    names = ["header_only.flv", "no_frames.mp4"]
    done = run_apart([shared / "clips" / name for name in names], light_bundle)
    assert done.code == 3
    assert [record["error"]["kind"] for record in done.records] == [CLIPS[name].error for name in names]
    assert len(done.errors) == 2


def test_rotated_frames_come_upright(shared: Path) -> None:
    shapes = {frame.pixels.shape for frame in open_source(shared / "clips" / "rotated_90.mov", Limits()).frames()}
    assert shapes == {(568, 320, 3)}


def test_times_never_decrease_although_time_stamps_do(shared: Path) -> None:
    times = [frame.time_s for frame in open_source(shared / "clips" / "unordered_pts.mov", Limits()).frames()]
    assert len(times) == 4
    assert times == sorted(times)
    assert times[0] >= 0


def test_same_answer_twice(recognizer: Recognizer, shared: Path) -> None:
    clip = shared / "clips" / "several_faces.jpg"
    assert recognizer.predict(clip).scores == recognizer.predict(clip).scores

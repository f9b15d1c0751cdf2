"""``vavl-run --audio-stream`` and ``--video-stream``: what they do and refuse, and how a run goes on with them."""

import csv
import json
import shutil
from pathlib import Path

import pytest
from av.stream import Disposition
from typer.testing import CliRunner, Result

from tests.runtime.command_line import error_lines
from tests.runtime.made_sound import voice
from tests.runtime.made_streams import Track, write_tracks
from vavl_runtime.cli.journal import journal_of
from vavl_runtime.cli.run import app


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [*map(str, arguments), "--threads", "1", "--device", "cpu"])


def two_voices(path: Path) -> Path:
    return write_tracks(
        path, [Track(voice(0.5, 0.2), tags={"language": "eng"}), Track(voice(1.0), Disposition.default)]
    )


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """A folder of two sounds with two streams each."""
    folder = tmp_path / "clips"
    folder.mkdir()
    for name in ("a.mkv", "b.mkv"):
        two_voices(folder / name)
    return folder


@pytest.mark.parametrize("options", [(), ("--profile",), ("--isolate",)])
def test_the_named_stream_is_read(options: tuple[str, ...], tmp_path: Path) -> None:
    clip = two_voices(tmp_path / "film.mkv")
    result = run(clip, "--audio-stream", 0, "--format", "json", *options)
    record = json.loads(result.stdout)
    assert (result.exit_code, record["streams"]) == (0, {"audio": 0, "visual": None})
    assert record["duration_s"] == pytest.approx(0.5)


def test_a_table_tells_the_stream(tmp_path: Path) -> None:
    result = run(two_voices(tmp_path / "film.mkv"))
    assert "audio: stream 1" in result.stdout


def test_a_wrong_number_is_one_failed_clip(tmp_path: Path) -> None:
    one = write_tracks(tmp_path / "one.mkv", [Track(voice(0.5))])
    result = run(one, two_voices(tmp_path / "two.mkv"), "--audio-stream", 1, "-f", "jsonl")
    first, second = map(json.loads, result.stdout.splitlines())
    assert (result.exit_code, first["error"]["kind"], second["streams"]["audio"]) == (1, "no_such_stream", 1)
    assert error_lines(result.stderr) == [f"error: {first['error']['message']}"]
    assert "does not have; its audio streams are 0 (pcm_s16le); name one of them" in result.stderr
    result = run(one, "--audio-stream", 1)
    assert result.exit_code == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--audio-stream", 1, "--visual-only"), "--audio-stream names a stream of sound, --visual-only reads none"),
        (("--video-stream", 1, "--audio-only"), "--video-stream names a stream of pictures, --audio-only reads none"),
        (("--audio-stream", -1), "--audio-stream"),
        (("--video-stream", "first"), "--video-stream"),
    ],
)
def test_bad_usage(options: tuple[object, ...], message: str, tmp_path: Path) -> None:
    result = run(two_voices(tmp_path / "film.mkv"), *options)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in " ".join(result.stderr.replace("│", " ").split())


def read_streams(output: Path) -> list[int]:
    if output.suffix == ".csv":
        return [int(row["stream_audio"]) for row in csv.DictReader(output.read_text().splitlines())]
    return [json.loads(line)["streams"]["audio"] for line in output.read_text().splitlines()]


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_a_finished_run_does_not_go_on_with_another_stream(suffix: str, clips: Path, tmp_path: Path) -> None:
    output = tmp_path / f"r.{suffix}"
    assert run(clips, "--no-isolate", "--audio-stream", 0, "-o", output).exit_code == 0
    before = output.read_bytes()
    result = run(clips, "--no-isolate", "--audio-stream", 1, "-o", output, "--resume")
    assert result.exit_code == 3
    assert "holds a result of the audio stream 0, not of 1; name another file" in result.stderr
    assert output.read_bytes() == before
    shutil.copy(clips / "a.mkv", clips / "c.mkv")
    result = run(clips, "--no-isolate", "--audio-stream", 0, "-o", output, "--resume")
    assert (result.exit_code, "2 of 3 clips are done already" in result.stderr) == (0, True)
    assert read_streams(output) == [0, 0, 0]
    assert run(clips, "--no-isolate", "--audio-stream", 1, "-o", output).exit_code == 0  # another run, from its start
    assert read_streams(output) == [1, 1, 1]


def cut_short(clips: Path, output: Path, *options: object) -> None:
    """Leave what a run leaves that was killed after its first clip."""
    assert run(clips / "a.mkv", "--no-isolate", *options, "-o", output).exit_code == 0
    settings = {
        "bundle": bundle_of(output),
        "format": output.suffix[1:],
        "use": "auto",
        "all_paths": False,
        "precision": "fp32",
        "stride": 1,
        "detect_every": None,
    }
    if options:
        settings |= {"audio_stream": options[1], "video_stream": None}
    size = output.stat().st_size
    header = output.read_text().index("\n") + 1 if output.suffix == ".csv" else 0
    entries = [{"clip": None, "size": header}] * bool(header) + [{"clip": str(clips / "a.mkv"), "size": size}]
    journal_of(output).write_text("".join(json.dumps(line) + "\n" for line in (settings, *entries)))


def bundle_of(output: Path) -> str:
    text = output.read_text()
    if output.suffix == ".csv":
        return next(csv.DictReader(text.splitlines()))["bundle_sha256"]
    found: str = json.loads(text.splitlines()[0])["bundle"]["sha256"]
    return found


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_a_run_that_was_cut_short_goes_on_with_the_same_stream_only(suffix: str, clips: Path, tmp_path: Path) -> None:
    output = tmp_path / f"r.{suffix}"
    cut_short(clips, output, "--audio-stream", 0)
    for other in (("--audio-stream", 1), ()):
        result = run(clips, "--no-isolate", *other, "-o", output, "--resume")
        assert result.exit_code == 3
        now = other[1] if other else None
        assert f"had audio_stream 0, now {now}; give the same options" in result.stderr
    assert run(clips, "--no-isolate", "--audio-stream", 0, "-o", output, "--resume").exit_code == 0
    assert read_streams(output) == [0, 0]


def test_a_journal_of_an_earlier_version_goes_on(clips: Path, tmp_path: Path) -> None:
    """It has no word of streams, which the rules chose."""
    cut_short(clips, tmp_path / "r.jsonl")
    assert run(clips, "--no-isolate", "-o", tmp_path / "r.jsonl", "--resume").exit_code == 0
    assert read_streams(tmp_path / "r.jsonl") == [1, 1]
    cut_short(clips, tmp_path / "s.jsonl")
    result = run(clips, "--no-isolate", "--audio-stream", 0, "-o", tmp_path / "s.jsonl", "--resume")
    assert (result.exit_code, "had audio_stream None, now 0" in result.stderr) == (3, True)


def test_results_of_an_earlier_version_do_not_tell_their_streams(clips: Path, tmp_path: Path) -> None:
    output = tmp_path / "r.jsonl"
    assert run(clips / "a.mkv", "-o", output).exit_code == 0
    record = json.loads(output.read_text())
    del record["streams"]
    output.write_text(json.dumps(record) + "\n")
    result = run(clips, "--no-isolate", "--audio-stream", 1, "-o", output, "--resume")
    assert (result.exit_code, "of the audio stream unknown, not of 1" in result.stderr) == (3, True)
    assert run(clips, "--no-isolate", "-o", output, "--resume").exit_code == 0


def test_rows_are_not_added_below_other_columns(clips: Path, tmp_path: Path) -> None:
    output = tmp_path / "r.csv"
    assert run(clips / "a.mkv", "-o", output).exit_code == 0
    rows = list(csv.reader(output.read_text().splitlines()))
    with output.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(row[:-2] for row in rows)  # as earlier versions wrote
    before = output.read_bytes()
    result = run(clips, "--no-isolate", "-o", output, "--resume")
    assert (result.exit_code, "has other columns than results of this version" in result.stderr) == (3, True)
    assert output.read_bytes() == before

"""Media that cannot be used, on the command line: one line on stderr, one record, an exit code, no traceback."""

import os
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.runtime.bad_clips import BAD, missing, text_file
from tests.runtime.command_line import error_lines, records, run_apart, run_cli
from tests.runtime.made_media import pcm16, tone, write_wav
from vavl_runtime.cli.run import app
from vavl_runtime.errors import NoMediaError


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


def test_an_error_is_told_once(light_bundle: Path, tmp_path: Path) -> None:
    """On stderr, also when the table goes to a file; the table has its kind."""
    clip = missing(tmp_path)
    result = CliRunner().invoke(app, [str(clip), "--bundle", str(light_bundle), "--threads", "1"])
    assert result.stderr == f"error: {clip}: no such file\n"
    header, row = result.stdout.splitlines()
    assert header.split()[0] == "clip"
    assert row.split()[-1] == "not_found"
    assert "no such file" not in row


def test_a_process_of_its_own_says_the_same(light_bundle: Path, tmp_path: Path) -> None:
    good = write_wav(tmp_path / "good.wav", pcm16(tone()))
    done = run_apart(text_file(tmp_path), good, missing(tmp_path), "--bundle", light_bundle)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert [line.split(": ")[0] for line in error_lines(done.stderr)] == ["error", "error"]
    found = records(done.stdout)
    assert [record["error"] and record["error"]["kind"] for record in found] == ["unsupported_media", None, "not_found"]
    assert found[1]["path"] == "audio"


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
    left_out, line = error_lines(result.stderr)
    assert left_out == "left out of the folders, by suffix: 1 .txt"
    assert line.startswith(f"error: {tmp_path}: no media file in this folder (.3gp .aac")


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
        "unreadable_file",
    ]


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


@pytest.mark.parametrize("output_format", ["table", "jsonl"])
def test_a_name_is_shown_without_its_control_characters(output_format: str, light_bundle: Path, tmp_path: Path) -> None:
    clip = tmp_path / "clear\x1b[2J.mp4"
    clip.write_text("no film")
    result = CliRunner().invoke(app, [str(clip), "--bundle", str(light_bundle), "-f", output_format])
    assert result.exit_code == 3
    assert r"clear\x1b[2J.mp4" in result.stderr
    for text in (result.stdout, result.stderr):
        assert text.replace("\n", "").isprintable()

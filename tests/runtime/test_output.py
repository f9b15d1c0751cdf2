"""Results are never lost: outputs that would destroy something are refused, a killed run goes on where it was."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from tests.runtime.damaged_bundles import edit_manifest
from tests.runtime.made_media import pcm16, tone, write_wav
from vavl_runtime.cli import signals
from vavl_runtime.cli.journal import GrowingFile, journal_of
from vavl_runtime.cli.output_file import is_results
from vavl_runtime.cli.run import app
from vavl_runtime.errors import InputError

OPTIONS = ("--audio-only", "--threads", "1")


SOUND = pcm16(tone(0.5))


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [*map(str, arguments), *OPTIONS])


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """A folder of three short sounds."""
    folder = tmp_path / "clips"
    folder.mkdir()
    for name in ("a", "b", "c"):
        write_wav(folder / f"{name}.wav", SOUND)
    return folder


def clips_in(file: Path) -> list[str]:
    return [Path(json.loads(line)["clip"]).name for line in file.read_text().splitlines()]


@pytest.mark.parametrize(
    ("name", "start"),
    [("r.csv", "clip,path"), ("r.json", "["), ("r.jsonl", "{"), ("r.ndjson", "{"), ("r.txt", "clip   "), ("r", "clip")],
)
def test_the_suffix_names_the_format(name: str, start: str, clips: Path, tmp_path: Path) -> None:
    assert run(clips, "-o", tmp_path / name).exit_code == 0
    assert (tmp_path / name).read_text().startswith(start)
    assert is_results(tmp_path / name)
    assert run(clips, "-o", tmp_path / name).exit_code == 0  # earlier results may be replaced
    assert sorted(tmp_path.iterdir()) == sorted([clips, tmp_path / name])


def test_a_contradiction_is_refused(clips: Path, tmp_path: Path) -> None:
    result = run(clips, "-o", tmp_path / "r.csv", "-f", "json")
    assert result.exit_code == 2
    assert "r.csv is csv by its suffix, --format asks for json" in result.stderr
    assert not (tmp_path / "r.csv").exists()


@pytest.mark.parametrize("force", [(), ("--force",)])
def test_a_clip_is_never_the_output(force: tuple[str, ...], clips: Path, tmp_path: Path) -> None:
    before = (clips / "b.wav").read_bytes()
    (tmp_path / "link.wav").symlink_to(clips / "b.wav")
    os.link(clips / "b.wav", tmp_path / "same.csv")
    for output in (clips / "b.wav", tmp_path / "link.wav", tmp_path / "same.csv"):
        result = run(clips, "-o", output, *force)
        assert (result.exit_code, result.stderr.count("one of the clips; results must not replace it")) == (3, 1)
    assert (clips / "b.wav").read_bytes() == before


@pytest.mark.parametrize("content", [b"My notes.\n", b"a,b\n1,2\n", b"\x00\x01" * 100, b'{"name": 1}', b"[1]", b"[[]]"])
def test_a_file_of_somebody_is_kept(content: bytes, clips: Path, tmp_path: Path) -> None:
    output = tmp_path / "notes.csv"
    output.write_bytes(content)
    result = run(clips, "-o", output)
    assert result.exit_code == 3
    assert "exists and holds no results of vavl-run; name another file, or add --force" in result.stderr
    assert output.read_bytes() == content
    assert run(clips, "-o", output, "--force").exit_code == 0
    assert output.read_text().startswith("clip,path")


def test_missing_folders_are_asked_for(clips: Path, tmp_path: Path) -> None:
    output = tmp_path / "new" / "deep" / "r.jsonl"
    result = run(clips, "-o", output)
    assert (result.exit_code, output.parent.exists()) == (3, False)
    assert "make it, or add --parents" in result.stderr
    assert run(clips, "-o", output, "--parents").exit_code == 0
    assert len(clips_in(output)) == 3


def test_a_device_is_written_to(clips: Path) -> None:
    assert run(clips, "-o", "/dev/null", "-f", "csv").exit_code == 0


def test_an_unfinished_run_is_not_replaced(clips: Path, tmp_path: Path) -> None:
    output = tmp_path / "r.jsonl"
    assert run(clips, "-o", output).exit_code == 0
    journal_of(output).write_text("{}\n")
    result = run(clips, "-o", output)
    assert result.exit_code == 3
    assert "add --resume to do the rest, or --force to start again" in result.stderr
    assert run(clips, "-o", output, "--force").exit_code == 0
    assert clips_in(output) == ["a.wav", "b.wav", "c.wav"]


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_a_finished_run_goes_on_with_new_clips(suffix: str, clips: Path, tmp_path: Path) -> None:
    output = tmp_path / f"r.{suffix}"
    assert run(clips, "-o", output, "--resume").exit_code == 0
    before = output.read_text()
    shutil.copy(clips / "a.wav", clips / "d.wav")
    result = run(clips, "-o", output, "--resume")
    assert (result.exit_code, "3 of 4 clips are done already" in result.stderr) == (0, True)
    assert output.read_text().startswith(before)
    assert len(output.read_text().splitlines()) == 4 + (suffix == "csv")


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_results_of_another_bundle_do_not_go_on(suffix: str, clips: Path, tmp_path: Path, light_bundle: Path) -> None:
    output, other = tmp_path / f"r.{suffix}", tmp_path / "other"
    shutil.copytree(light_bundle, other)
    edit_manifest(other, lambda manifest: manifest.update(name="other"))
    assert run(clips, "-o", output).exit_code == 0
    before = output.read_bytes()
    result = run(clips, "-o", output, "--resume", "--bundle", other)
    assert (result.exit_code, "holds results of the bundle" in result.stderr) == (3, True)
    assert output.read_bytes() == before


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_names_that_are_not_utf8_are_done_once(suffix: str, clips: Path, tmp_path: Path) -> None:
    (clips / "a.wav").rename(os.fsdecode(os.fsencode(clips) + b"/a\xff.wav"))
    output = tmp_path / f"r.{suffix}"
    assert run(clips, "-o", output, "--resume").exit_code == 0
    result = run(clips, "-o", output, "--resume")
    assert (result.exit_code, "3 of 3 clips are done already" in result.stderr) == (0, True)


def test_other_settings_do_not_go_on(clips: Path, tmp_path: Path) -> None:
    output = tmp_path / "r.jsonl"
    with pytest.raises(ZeroDivisionError), GrowingFile(output, {"use": "audio", "stride": 1}, resume=False) as file:
        file.write("x\n", "a")
        raise ZeroDivisionError
    with pytest.raises(InputError, match="had use 'audio', now 'visual'; give the same options"):
        GrowingFile(output, {"use": "visual", "stride": 1}, resume=True)


@pytest.mark.parametrize("arguments", [(), ("-o", "r.json"), ("-o", "r.txt")])
def test_what_cannot_go_on(
    arguments: tuple[str, ...], clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(clips, "--resume", *arguments)
    assert (result.exit_code, "--resume continues a file of JSON lines or CSV" in result.stderr) == (2, True)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.text('ab\n",é', min_size=1, max_size=5), min_size=1, max_size=6),
    st.integers(0, 60) | st.binary(max_size=9),
    st.integers(0, 60),
)
def test_whatever_a_crash_leaves_each_result_is_there_once(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], tail: int | bytes, lost_of_journal: int
) -> None:
    """``tail``: so many bytes are missing at the end, or such bytes of a result that was being written are too many."""
    output = tmp_path_factory.mktemp("crash") / "r.csv"
    texts = {name: json.dumps([number, name]) + "\n" for number, name in enumerate(names)}
    with pytest.raises(ZeroDivisionError), GrowingFile(output, {}, resume=False) as file:
        file.write("header\n")
        for name in names:
            file.write(texts[name], name)
        raise ZeroDivisionError
    for damaged, count in ((output, tail if isinstance(tail, int) else 0), (journal_of(output), lost_of_journal)):
        content = damaged.read_bytes()
        damaged.write_bytes(content[: max(0, len(content) - count)])
    if isinstance(tail, bytes):
        with output.open("ab") as opened:
            opened.write(tail)
    with GrowingFile(output, {}, resume=True) as file:
        if not file.begun:
            file.write("header\n")
        left = Counter(names) - Counter(file.done)
        assert not Counter(file.done) - Counter(names)
        for name in left.elements():
            file.write(texts[name], name)
    lines = output.read_text().splitlines(keepends=True)
    assert lines[0] == "header\n"
    assert Counter(lines[1:]) == Counter(texts[name] for name in names)
    assert not journal_of(output).exists()


def start(clips: Path, output: Path, *options: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "vavl_runtime", str(clips), "-o", str(output), *OPTIONS, *options]
    return subprocess.Popen(command, stderr=subprocess.PIPE)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["r.jsonl", "r.csv"])
def test_runs_killed_at_random_moments_lose_nothing(name: str, tmp_path: Path) -> None:
    folder, output = tmp_path / "clips", tmp_path / name
    folder.mkdir()
    for number in range(40):
        write_wav(folder / f"{number:02}.wav", SOUND)
    random.seed(0)
    kept = b""
    for _ in range(10):
        with start(folder, output, "--resume") as process:
            time.sleep(random.uniform(0.3, 1.6))
            process.kill()
            process.communicate()
        content = output.read_bytes() if output.exists() else b""
        assert content.startswith(kept)
        entries = journal_of(output).read_text().splitlines()[1:] if journal_of(output).exists() else []
        kept = content[: json.loads(entries[-1])["size"]] if entries else kept
    (tmp_path / f".{journal_of(output).name}.abcdefgh").touch()  # of a run that was killed while it began its journal
    with start(folder, output, "--resume") as process:
        _, said = process.communicate()
    assert process.returncode == 0
    text = output.read_text()
    assert [text.count(f"{number:02}.wav") for number in range(40)] == [1] * 40
    for left in {path.name for path in tmp_path.iterdir()} - {"clips", name}:
        assert f"{left}: unfinished; remove it" in said.decode()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("name", ["r.jsonl", "r.json"])
def test_a_signal_ends_cleanly(name: str, number: signal.Signals, tmp_path: Path) -> None:
    folder, output = tmp_path / "clips", tmp_path / name
    folder.mkdir()
    for index in range(300):
        write_wav(folder / f"{index:03}.wav", SOUND)
    with start(folder, output) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith(b"[2/"):
                break
        process.send_signal(number)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 128 + number, said
    left = {path.name for path in tmp_path.iterdir()} - {"clips"}
    assert left == ({"r.jsonl", ".r.jsonl.journal"} if name == "r.jsonl" else set()), said


def test_an_exit_that_python_drops_is_made_up_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a destructor, or in a callback of a C library."""
    monkeypatch.setattr(signals, "_received", [])
    with pytest.raises(SystemExit):
        signals._end(signal.SIGTERM, None)
    with pytest.raises(SystemExit) as caught:
        signals.end_if_asked()
    assert caught.value.code == 128 + signal.SIGTERM


def test_what_killed_runs_left_is_named(clips: Path, tmp_path: Path) -> None:
    left = (".r.csv.abcd_123", "..r.csv.journal.abcd_123")
    for name in left:
        (tmp_path / name).touch()
    result = run(clips, "-o", tmp_path / "r.csv")
    assert result.exit_code == 0
    assert [f"{name}: unfinished; remove it" in result.stderr for name in left] == [True, True]

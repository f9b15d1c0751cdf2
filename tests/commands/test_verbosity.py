"""``-q`` and ``-v``, and the logging behind them."""

import logging
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from tests.commands.programs import all_commands, run
from vavl.cli.reporting import ProgressLine
from vavl_runtime.cli import signals
from vavl_runtime.cli.common import exit_on_error, notify
from vavl_runtime.cli.logs import PACKAGES, QUIET, USUAL, VERBOSE, log_to_stderr
from vavl_runtime.errors import InputError

COMMANDS = [command for command in all_commands() if len(command) == 2 or command[0] in ("vavl-run", "vavl-doctor")]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_takes_both(command: tuple[str, ...]) -> None:
    shown = run(*command, "--help").stdout
    assert "-q, --quiet" in shown
    assert "-v, --verbose" in shown


def test_they_exclude_each_other(example_clip: Path) -> None:
    result = run("vavl-run", example_clip, "-q", "-v")
    assert result.exit_code == 2
    assert "--quiet and --verbose exclude each other" in result.stderr


def test_progress_is_shown_unless_quiet_is_asked_for(example_clip: Path) -> None:
    clips = (example_clip, example_clip, "--audio-only", "--threads", 1)
    usual, quiet = run("vavl-run", *clips), run("vavl-run", *clips, "-q")
    assert [line.split()[0] for line in usual.stderr.splitlines()] == ["[1/2]", "[2/2]"]
    assert (quiet.exit_code, quiet.stderr) == (0, "")
    assert len(quiet.stdout.splitlines()) == len(usual.stdout.splitlines()) == 3


def test_quiet_keeps_errors(tmp_path: Path) -> None:
    result = run("vavl-run", tmp_path / "nothing.mp4", "-q")
    assert result.exit_code == 3
    assert result.stderr == f"error: {tmp_path / 'nothing.mp4'}: no such file\n"


def test_verbose_adds_where_an_error_came_from(tmp_path: Path) -> None:
    arguments = ("vavl-export", "inspect", tmp_path / "nothing")
    assert "Traceback" not in run(*arguments).stderr
    assert "Traceback" in run(*arguments, "-v").stderr


@pytest.mark.parametrize(
    ("level", "lines"),
    [
        (QUIET, ["warning: w"]),
        (USUAL, ["i", "warning: w"]),
        (VERBOSE, ["d", "i", "warning: w"]),
    ],
)
def test_levels(level: int, lines: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    log = logging.getLogger("vavl_bench.somewhere")
    with log_to_stderr(level):
        log.debug("d")
        log.info("i")
        log.warning("w")
    assert capsys.readouterr().err.splitlines() == lines
    log.info("after the command")
    assert capsys.readouterr().err == ""


def test_a_message_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with log_to_stderr(USUAL):
        notify("two\nlines of 100 %s")
    assert capsys.readouterr().err == "two lines of 100 %s\n"


def test_control_characters_are_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    with log_to_stderr(USUAL):
        notify("clear\x1b[2J.mp4 and café.mp4")
    assert capsys.readouterr().err == "clear\\x1b[2J.mp4 and café.mp4\n"


def test_nothing_is_left_behind_after_an_error() -> None:
    before = [(list(logging.getLogger(name).handlers), logging.getLogger(name).level) for name in PACKAGES]
    with pytest.raises(typer.Exit), log_to_stderr(VERBOSE), exit_on_error():
        raise InputError("bad")
    assert [(list(logging.getLogger(name).handlers), logging.getLogger(name).level) for name in PACKAGES] == before


def test_libraries_set_no_handlers() -> None:
    code = "import logging, vavl_runtime.recognizer, vavl_bench.runner, vavl_bench.realtime_probe; "
    code += "print([n for n, l in logging.root.manager.loggerDict.items() "
    code += "if n.startswith('vavl') and getattr(l, 'handlers', None)])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"


def test_vavl_run_without_arguments_shows_its_help() -> None:
    result = run("vavl-run")
    assert result.exit_code == 2
    assert "Example: vavl-run clip.mp4" in result.output


def test_an_exit_that_python_dropped_is_made_up_for_at_the_next_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "_received", [signal.SIGTERM])
    for tell in (lambda: notify("a line"), lambda: ProgressLine("clips")(1, 2, "a clip")):
        with pytest.raises(SystemExit) as ended:
            tell()
        assert ended.value.code == 128 + signal.SIGTERM

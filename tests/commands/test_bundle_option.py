"""A bundle is the first argument or ``--bundle``, everywhere; ``--device`` and ``--backend`` read alike."""

from pathlib import Path

import pytest
import typer

from tests.commands.programs import all_commands, application, run
from vavl_runtime.cli.options import BACKEND_HELP, BUNDLE_HELP, DEVICE_HELP

WITH_BUNDLE = [
    ("vavl-bench", "run"),
    ("vavl-bench", "will-it-run"),
    ("vavl-export", "tensorrt"),
    ("vavl-export", "verify"),
    ("vavl-export", "inspect"),
]


def helps(command: tuple[str, ...], option: str) -> str | None:
    """The help text of an option, or None if the command has no such option."""
    found = typer.main.get_command(application(command[0]))
    if len(command) == 2:
        found = found.commands[command[1]]
    return next((one.help for one in found.params if option in one.opts), None)


@pytest.mark.parametrize("command", WITH_BUNDLE, ids=" ".join)
def test_it_may_be_named_both_ways_but_not_twice(command: tuple[str, ...], tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for arguments in ([one], ["--bundle", one], [one, "--bundle", one]):
        result = run(*command, *arguments)
        assert result.exit_code == 3, result.output
        assert str(one) in result.stderr
        assert "no bundle" in result.stderr
    result = run(*command, one, "--bundle", other)
    assert result.exit_code == 2
    assert "name one of them" in " ".join(result.stderr.split())


def test_shared_options_have_one_text() -> None:
    commands = [command for command in all_commands() if command[0] != "vavl-train"]
    for option, text in (("--bundle", BUNDLE_HELP), ("--device", DEVICE_HELP), ("--backend", BACKEND_HELP)):
        found = {command: helps(command, option) for command in commands}
        shown = {command: help_text for command, help_text in found.items() if help_text}
        assert len(shown) >= 3, option
        assert [command for command, help_text in shown.items() if not help_text.startswith(text)] == []


def test_inspect_without_a_bundle_takes_the_default(light_bundle: Path) -> None:
    assert run("vavl-export", "inspect").stdout == run("vavl-export", "inspect", light_bundle).stdout


def test_the_packaged_bundle_has_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "light: classification" in run("vavl-export", "inspect", "light").stdout
    (tmp_path / "light").mkdir()  # what lies there goes first
    assert run("vavl-export", "inspect", "light").exit_code == 3

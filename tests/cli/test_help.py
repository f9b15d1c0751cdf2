"""Every command explains itself, with an example that its own options understand."""

import re
import shlex

import pytest
import typer

from tests.cli.commands import succeed
from vavl.cli.train import app

COMMANDS = typer.main.get_command(app).commands
NAMES = ["audio-encoder", "compare", "evaluate", "face-encoder", "features", "fit", "import-released"]


def test_all_commands_are_listed() -> None:
    assert sorted(COMMANDS) == NAMES
    listed = succeed("--help").stdout
    assert [name for name in NAMES if not re.search(rf"^  {name} ", listed, re.MULTILINE)] == []


@pytest.mark.parametrize("name", NAMES)
def test_help_has_an_example_that_parses(name: str) -> None:
    command = COMMANDS[name]
    program, called, *arguments = shlex.split(command.epilog.removeprefix("Example: "))
    assert (program, called) == ("vavl-train", name)
    assert command.make_context(name, arguments).params  # raises on what the command does not know
    shown = succeed(name, "--help").stdout.split("Example: ")[1]
    assert "".join(shown.split()) == "".join(command.epilog.removeprefix("Example: ").split())  # but for line breaks


@pytest.mark.parametrize("name", NAMES)
def test_every_option_is_explained(name: str) -> None:
    assert [parameter.name for parameter in COMMANDS[name].params if not parameter.help] == []

"""Settings objects as command-line options: what a field becomes, and how wrong values are reported."""

import ast
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Literal

import pytest
import typer
from pydantic import ConfigDict, field_validator
from typer.testing import CliRunner

import vavl
from vavl.cli.errors import HINTS
from vavl.cli.settings import Without, with_settings
from vavl.config import Positive, StrictModel
from vavl_runtime.cli.app import new_app

LIBRARY = [path for path in Path(vavl.__file__).parent.rglob("*.py") if "cli" not in path.parts]


class Training(StrictModel):
    model_config = ConfigDict(use_attribute_docstrings=True)

    epochs: Positive = 3
    """Passes over the data."""
    batch_size: Positive = 4
    """Windows per batch."""
    schedule: Literal["constant", "cosine"] = "constant"
    """How the rate changes."""
    stop_at: float | None = None
    """Loss at which training stops."""
    silent: bool = False
    """Print nothing."""
    hidden: int = 7
    """No option."""

    @field_validator("epochs")
    @classmethod
    def _lucky(cls, value: int) -> int:
        if value == 13:
            raise ValueError("13 brings bad luck")
        return value


class Place(StrictModel):
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where.")]
    name: Annotated[str, typer.Option("--name", "-n", help="What it is called.")]


app = new_app("Test.")
got: list[object] = []


@app.command()
@with_settings
def run(place: Place, settings: Annotated[Training, Without("hidden")], times: int = 1) -> None:
    """Keep what came."""
    got[:] = [place, settings, times]


def invoke(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [*map(str, arguments)])
    return result.exit_code, result.output


def test_fields_become_options_with_their_type_default_and_description() -> None:
    assert invoke("here", "-n", "x")[0] == 0
    assert got == [Place(folder=Path("here"), name="x"), Training(), 1]
    options = ("--epochs", 9, "--batch-size", 2, "--schedule", "cosine", "--stop-at", 0.5, "--silent", "--times", 2)
    assert invoke("here", "--name", "x", *options)[0] == 0
    changed = Training(epochs=9, batch_size=2, schedule="cosine", stop_at=0.5, silent=True)
    assert got == [Place(folder=Path("here"), name="x"), changed, 2]
    shown = " ".join(invoke("--help")[1].split())
    for text in ("Passes over the data.", "Windows per batch.", "How the rate changes.", "What it is called."):
        assert text in shown
    assert "--hidden" not in shown and "--no-silent" not in shown


def test_all_wrong_values_are_reported_by_the_names_of_their_options() -> None:
    code, output = invoke("here", "-n", "x", "--epochs", 0, "--batch-size", -1, "--schedule", "line")
    assert code == 3
    (line,) = output.splitlines()
    for part in ("--epochs: Input should be greater than 0", "--batch-size: Input should", "--schedule: Input should"):
        assert part in line
    assert invoke("here", "-n", "x", "--epochs", 13) == (3, "error: --epochs: 13 brings bad luck\n")


@pytest.mark.parametrize(
    ("arguments", "message"), [(("here",), "'--name'"), (("here", "-n", "x", "--epochs", "a"), "--epochs")]
)
def test_what_typer_cannot_parse_is_bad_usage(arguments: tuple[str, ...], message: str) -> None:
    code, output = invoke(*arguments)
    assert code == 2 and message in output


@pytest.mark.parametrize("path", LIBRARY, ids=lambda path: path.stem)
def test_library_messages_name_no_options_and_every_named_argument_has_a_hint(path: Path) -> None:
    """Whoever calls the library from Python has no command line; the commands add the option that helps."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.keyword) and node.arg == "argument" and isinstance(node.value, ast.Constant):
            assert node.value.value in HINTS
        if isinstance(node, ast.Raise):
            texts = [part.value for part in ast.walk(node) if isinstance(part, ast.Constant)]
            # A command of somebody else's, which downloads weights, is named with its options.
            assert not [t for t in texts if isinstance(t, str) and " --" in t and "--local-dir" not in t]


@pytest.mark.parametrize("module", ["vavl", "vavl.cli.train"])
def test_modules_that_run_the_command(module: str) -> None:
    done = subprocess.run([sys.executable, "-m", module, "--help"], capture_output=True, text=True, check=True)
    assert "import-released" in done.stdout

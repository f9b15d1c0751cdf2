"""Run ``vavl-train`` in this process, and check the files that it writes."""

from pathlib import Path

from PIL import Image
from typer.testing import CliRunner, Result

from vavl.cli.train import app

TINY = ("--preset", "light", "--epochs", 1)


def vavl_train(*arguments: object) -> Result:
    """Run a command, whatever becomes of it."""
    return CliRunner().invoke(app, [*map(str, arguments)])


def succeed(*arguments: object) -> Result:
    """Run a command that must succeed."""
    result = vavl_train(*arguments)
    assert result.exit_code == 0, (result.output, result.exception)
    return result


def fail(code: int, *arguments: object) -> str:
    """Run a command that must fail on purpose, with this exit code and nothing on stdout; gives its stderr."""
    result = vavl_train(*arguments)
    assert isinstance(result.exception, SystemExit), result.exception  # no traceback
    assert (result.exit_code, result.stdout) == (code, ""), result.output
    return result.stderr


def assert_plot(file: Path) -> None:
    """A complete PNG that is not all of one colour."""
    with Image.open(file) as image:
        image.load()
        assert image.format == "PNG"
        assert min(image.size) > 100
        assert any(low < high for low, high in image.convert("RGB").getextrema())

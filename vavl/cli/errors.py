"""How ``vavl-train`` reports errors of our own tree: one line each, and the option that would help."""

import contextlib
from collections.abc import Iterator

import typer

from vavl.errors import CorpusError
from vavl_runtime.cli.common import exit_on_error as exit_on_runtime_error
from vavl_runtime.cli.common import print_line

# The library names its keyword arguments; this is what they are called on the command line.
HINTS = {
    "skip_bad": "--skip-bad leaves the bad clips out",
    "restart": "--restart deletes the earlier run",
    "flipped": "--arousal-polarity upright, or --arousal-polarity flipped",
}


@contextlib.contextmanager
def exit_on_error() -> Iterator[None]:
    """Print an error of our own tree on stderr and exit with its code.

    Each problem of a corpus gets a line of its own. A last line names the option that resolves the problem, if there
    is one.

    Raises:
        typer.Exit: With the exit code of the error.
    """
    try:
        with exit_on_runtime_error(), _one_line_per_problem():
            yield
    except typer.Exit as end:
        argument = getattr(end.__cause__, "argument", None)
        if argument is not None:
            print_line(f"hint: {HINTS[argument]}")
        raise


@contextlib.contextmanager
def _one_line_per_problem() -> Iterator[None]:
    try:
        yield
    except CorpusError as error:
        for line in f"error: {error}".splitlines():
            print_line(line)
        raise typer.Exit(error.exit_code) from error

"""What all commands share: a plain typer application, and errors as one line with their exit code."""

import contextlib
import io
import os
import sys
from collections.abc import Iterator

import typer
from typer.core import TyperGroup

from vavl_runtime.errors import InputError, VavlError


def new_app(help_text: str, group: type[TyperGroup] | None = None) -> typer.Typer:
    """Make an application without rich formatting, which costs start-up time and colours pipes."""
    return typer.Typer(
        cls=group,
        help=help_text,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


# File names are bytes; those that are not UTF-8 are shown with escapes, which JSON understands too.
UNDECODABLE = "backslashreplace"


def print_line(text: str) -> None:
    """Print a message on stderr as exactly one line, whatever a file name in it holds."""
    print(" ".join(text.splitlines()), file=sys.stderr)


def run_app(app: typer.Typer) -> None:
    """Run an application on a stdout that can show any file name and may be closed by its reader."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=UNDECODABLE)
    try:
        app()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # keeps the interpreter's last flush quiet
        sys.exit(1)


def device_name(text: str) -> str:
    """Check the value of ``--device``: a name that cannot be read is bad usage, a device that is missing is not."""
    from vavl_runtime.devices.gpu import parse_device

    try:
        return str(parse_device(text))
    except InputError as error:
        raise typer.BadParameter(str(error).removeprefix("device: ")) from error


@contextlib.contextmanager
def exit_on_error() -> Iterator[None]:
    """Turn an error of our tree into one line on stderr and the exit code of its class."""
    try:
        yield
    except VavlError as error:
        print_line(f"error: {error}")
        raise typer.Exit(error.exit_code) from error
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        raise typer.Exit(130) from None

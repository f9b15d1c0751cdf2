"""What all commands share: a plain typer application, and errors as one line with their exit code."""

import contextlib
import sys
from collections.abc import Iterator

import typer

from vavl_runtime.errors import VavlError


def new_app(help_text: str) -> typer.Typer:
    """Make an application without rich formatting, which costs start-up time and colours pipes."""
    return typer.Typer(
        help=help_text,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


@contextlib.contextmanager
def exit_on_error() -> Iterator[None]:
    """Turn an error of our tree into one line on stderr and the exit code of its class."""
    try:
        yield
    except VavlError as error:
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(error.exit_code) from error
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        raise typer.Exit(130) from None

"""What commands tell people on stderr, a line each, and how they end on an error."""

import contextlib
import sys
from collections.abc import Iterator

import typer

from vavl_runtime.cli.signals import end_if_asked

# File names are bytes; those that are not UTF-8 are shown with escapes, which JSON understands too.
UNDECODABLE = "backslashreplace"


def printable(text: str) -> str:
    """Escape control characters: a file name may hold them, and a terminal would obey them."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def print_line(text: str) -> None:
    """Print a message on stderr as exactly one line, whatever file name is in it."""
    print(printable(" ".join(text.splitlines())), file=sys.stderr)


def notify(text: str) -> None:
    """Print a line of progress on stderr, unless the user asked for quiet with ``-q``; end if a signal asked for it."""
    import logging  # not needed for --help

    logging.getLogger(__name__).info("%s", text)
    end_if_asked()


def notify_in_detail(text: str) -> None:
    """Print a line on stderr if the user asked for details with ``-v``."""
    import logging

    logging.getLogger(__name__).debug("%s", text)


@contextlib.contextmanager
def exit_on_error() -> Iterator[None]:
    """Turn an error of our tree into one line on stderr and the exit code of its class; ``-v`` adds the traceback."""
    from vavl_runtime.errors import VavlError

    try:
        yield
    except VavlError as error:
        import logging

        print_line(f"error: {error}")
        logging.getLogger(__name__).debug("where the error came from", exc_info=error)
        raise typer.Exit(error.exit_code) from error
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        raise typer.Exit(130) from None

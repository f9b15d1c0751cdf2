"""How long steps report their progress: by calling a function with a line of text."""

from collections.abc import Callable

Progress = Callable[[str], None]


def silent(line: str) -> None:
    """Ignore a line of progress."""

"""A command group that runs one of its commands when none is named."""

from difflib import get_close_matches
from pathlib import Path
from typing import Any

from typer.core import TyperGroup

COMPLETION = ("--install-completion", "--show-completion")


class DefaultCommandGroup(TyperGroup):
    """Passes arguments that name no command to the command `DEFAULT`.

    A first argument that is no file but looks like the name of a command is taken for a misspelt one.
    """

    DEFAULT = "run"

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the default command's name first where no command is named."""
        first = args[0] if args else None
        if first is not None and first not in (*self.commands, *ctx.help_option_names, *COMPLETION):
            similar = get_close_matches(first, self.commands, n=1)
            if similar and not ctx.resilient_parsing and not Path(first).exists():
                ctx.fail(f"{first!r} is neither a bundle nor a command. Did you mean {similar[0]!r}?")
            args = [self.DEFAULT, *args]
        return super().parse_args(ctx, args)

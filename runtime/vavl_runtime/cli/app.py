"""The application that every command line is: plain help, options that all commands take, quiet ends."""

import functools
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from vavl_runtime.cli.common import exit_on_error
from vavl_runtime.cli.options import BundleArgument, BundleOption
from vavl_runtime.cli.signals import end_cleanly_on_signals
from vavl_runtime.cli.streams import safe_streams


def _stop_checking(context: typer.Context, asked: bool) -> bool:
    """With ``--version``, read the other arguments for the bundle's name and do not ask for missing ones."""
    if asked:
        context.resilient_parsing = True
    return asked


def _print_versions_now(asked: bool) -> None:
    if asked:
        print_versions(None)


VERSION_HELP = "Print the versions of vavl-edge, onnxruntime and the bundle, then exit."
VersionOption = Annotated[bool, typer.Option("--version", help=VERSION_HELP, is_eager=True, callback=_stop_checking)]
GroupVersionOption = Annotated[
    bool, typer.Option("--version", help=VERSION_HELP, is_eager=True, callback=_print_versions_now)
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print no progress on stderr, only warnings.")]
VerboseOption = Annotated[bool, typer.Option("--verbose", "-v", help="Print details on stderr.")]

_ADDED = {"quiet": QuietOption, "verbose": VerboseOption, "version": VersionOption}


class CommandLine(typer.Typer):
    """An application whose commands all take ``-q``, ``-v`` and ``--version``.

    A command with a `BundleArgument` takes the bundle as ``--bundle`` too.

    Args:
        extra: The extra of the distribution that brings what the commands import.
        settings: Those of `typer.Typer`.
    """

    def __init__(self, extra: str | None, **settings: Any) -> None:
        super().__init__(**settings)
        self._extra = extra

    def command(  # type: ignore[override]  # typer lists each setting by name
        self, name: str | None = None, **settings: Any
    ) -> Callable[[Callable[..., None]], Callable[..., None]]:
        """Register a function as a command; see `typer.Typer.command`."""
        register = super().command(name, **settings)

        def add(function: Callable[..., None]) -> Callable[..., None]:
            register(_with_shared_options(function, self._extra))
            return function

        return add


def _with_shared_options(function: Callable[..., None], extra: str | None) -> Callable[..., None]:
    own = inspect.signature(function)
    added: dict[str, Any] = dict(_ADDED)
    two_ways = "bundle" in own.parameters and own.parameters["bundle"].annotation == BundleArgument
    if two_ways:
        added = {"bundle_option": BundleOption, **added}

    @functools.wraps(function)
    def command(**values: Any) -> None:
        chosen = {name: values.pop(name) for name in added}
        if two_ways:
            values["bundle"] = one_bundle(values["bundle"], chosen["bundle_option"])
        if chosen["version"]:
            print_versions(values.get("bundle"))
        if chosen["quiet"] and chosen["verbose"]:
            raise typer.BadParameter("--quiet and --verbose exclude each other")
        from vavl_runtime.cli.extras import exit_without_extra  # both are not needed for --help
        from vavl_runtime.cli.logs import QUIET, USUAL, VERBOSE, log_to_stderr

        level = QUIET if chosen["quiet"] else VERBOSE if chosen["verbose"] else USUAL
        with log_to_stderr(level), exit_without_extra(extra):
            function(**values)

    defaults: Mapping[str, object] = {"bundle_option": None}
    parameters = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=defaults.get(name, False), annotation=kind)
        for name, kind in added.items()
    ]
    command.__signature__ = own.replace(parameters=[*own.parameters.values(), *parameters])  # type: ignore[attr-defined]
    return command


def one_bundle(argument: Path | None, option: Path | None) -> Path | None:
    """Take the bundle from the argument or from ``--bundle``; both may be given if they agree."""
    if argument is not None and option is not None and argument != option:
        raise typer.BadParameter(f"got the bundle {argument} and --bundle {option}; name one of them")
    return argument if option is None else option


def print_versions(bundle: Path | None) -> None:
    """Print versions and end the command."""
    from vavl_runtime.cli.versions import version_lines

    with exit_on_error():
        for line in version_lines(bundle):
            print(line)
    raise typer.Exit


def new_app(help_text: str, *, extra: str | None = None) -> CommandLine:
    """Make an application of a single command.

    Args:
        help_text: What it does, in a sentence.
        extra: The extra of the distribution that brings what it imports; named where a package is missing.

    Returns:
        The application, without rich formatting, which costs start-up time and colours pipes.
    """
    return CommandLine(extra, **_settings(help_text))


def new_group(help_text: str, *, extra: str | None = None, group: type[TyperGroup] = TyperGroup) -> CommandLine:
    """Make an application of several commands, which takes ``--version`` before the command's name, too.

    Args:
        help_text: What the commands do, in a sentence.
        extra: As in `new_app`.
        group: How a command is found by its name.

    Returns:
        The application.
    """
    app = CommandLine(extra, cls=group, **_settings(help_text))

    @app.callback()
    def group_options(version: GroupVersionOption = False) -> None:
        """Options before the command's name."""

    return app


def _settings(help_text: str) -> dict[str, Any]:
    return {
        "help": help_text,
        "no_args_is_help": True,
        "rich_markup_mode": None,
        "pretty_exceptions_enable": False,
        "context_settings": {"help_option_names": ["-h", "--help"]},
    }


def run_app(app: typer.Typer) -> None:
    """Run an application, as the whole of a program."""
    end_cleanly_on_signals()
    with safe_streams():
        app()

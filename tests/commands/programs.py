"""The five commands, run in this process or in one of their own."""

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import typer
from typer.testing import CliRunner, Result

# Module of each command's application and entry point.
MODULES = {
    "vavl-run": "vavl_runtime.cli.run",
    "vavl-doctor": "vavl_runtime.cli.doctor",
    "vavl-bench": "vavl_bench.cli.app",
    "vavl-export": "vavl_export.cli",
    "vavl-train": "vavl.cli.train",
}


def application(program: str) -> typer.Typer:
    app = import_module(MODULES[program]).app
    assert isinstance(app, typer.Typer)
    return app


def all_commands() -> list[tuple[str, ...]]:
    """Every program, and every program with each of its subcommands."""
    found: list[tuple[str, ...]] = []
    for program in MODULES:
        command = typer.main.get_command(application(program))
        found.append((program,))
        found += [(program, name) for name in getattr(command, "commands", {})]
    return found


def run(program: str, *arguments: object) -> Result:
    return CliRunner().invoke(application(program), [str(argument) for argument in arguments], prog_name=program)


def run_apart(
    program: str, *arguments: object, path: Path | None = None, **environment: str
) -> "subprocess.CompletedProcess[str]":
    """Run a command in a process of its own.

    Args:
        program: Its name.
        arguments: Its arguments.
        path: A folder that comes first on the module search path.
        environment: Variables to set.
    """
    code = f"import sys; sys.argv[0] = {program!r}; from {MODULES[program]} import main; main()"
    command = [sys.executable, "-c", code, *map(str, arguments)]
    folders = [str(path)] if path else []
    env = os.environ | {"PYTHONPATH": os.pathsep.join([*folders, *filter(None, sys.path)])} | environment
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=env, check=False)

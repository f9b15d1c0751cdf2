"""``vavl-doctor``: what this machine can run, and the command that mends what it cannot."""

import json
from typing import Annotated

import typer

from vavl_runtime.cli.app import new_app, run_app

app = new_app("Say what this machine can run, and print the command that mends what it cannot.")


@app.command(
    epilog="Example: vavl-doctor --json    Exit codes: 0 all is well, "
    "1 a conflict was found or nothing can run, 2 bad usage.",
)
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Say what this machine can run, and print the command that mends what it cannot."""
    from vavl_runtime.doctor import examine, this_machine

    report = examine(this_machine())
    print(json.dumps(report.to_json(), indent=1) if as_json else "\n".join(report.lines()))
    if report.conflicts or not report.runs:
        raise typer.Exit(1)


def main() -> None:
    """Run the command line."""
    run_app(app)


if __name__ == "__main__":
    main()

"""``vavl-bench``: what a bundle costs on this machine, and whether that changed."""

import sys
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from vavl_bench.cli import realtime, run
from vavl_bench.cli.default import DefaultCommandGroup
from vavl_bench.cli.options import OutputOption
from vavl_runtime.cli.common import exit_on_error, new_app, run_app

app = new_app(
    "Measure a bundle: latency, throughput, memory and energy, by graph, model and whole clip. "
    "'vavl-bench BUNDLE' is short for 'vavl-bench run BUNDLE'.",
    DefaultCommandGroup,
)
app.command(epilog=run.EPILOG)(run.run)
app.command("will-it-run", epilog=realtime.EPILOG)(realtime.will_it_run)


class Part(str, Enum):
    """Parts of a measurement's key in which compared measurements may differ."""

    backend = "backend"
    device = "device"
    precision = "precision"
    threads = "threads"


@app.command(
    epilog="Example: vavl-bench compare before.json after.json --tolerance 5    "
    "Exit codes: 0 no regression, 1 a regression, 2 bad usage, 3 not comparable."
)
def compare(
    baseline: Annotated[Path, typer.Argument(help="JSON of the baseline.")],
    others: Annotated[list[Path], typer.Argument(help="JSON of the runs to judge.")],
    tolerance: Annotated[float, typer.Option(min=0, help="A measurement may be slower by this, percent.")] = 5.0,
    across: Annotated[
        list[Part] | None,
        typer.Option(help="Compare measurements that differ in this, such as precision. Repeat for more."),
    ] = None,
) -> None:
    """Set runs side by side; exit 1 if a measurement became slower by more than the tolerance and more than chance.

    A run that was interrupted before it came to a measurement of the baseline ends with 1 too.
    """
    with exit_on_error():
        from vavl_bench.compare import compare_reports
        from vavl_bench.reports.table import comparison_table
        from vavl_bench.storage import read_report

        base = read_report(baseline)
        differing = frozenset(part.value for part in across or [])
        regressed = unclear = unmeasured = 0
        for place in others:
            other = read_report(place)
            comparisons = compare_reports(base, other, tolerance / 100, differing)
            print(comparison_table(comparisons, baseline.name, place.name))
            regressed += sum(pair.regressed for pair in comparisons.pairs)
            unclear += sum(pair.verdict == "unclear" for pair in comparisons.pairs)
            unmeasured += 0 if other.finished else len(comparisons.only_base)
        if unclear:
            print(f"{unclear} unclear: measure them again on a quiet machine, with more windows")
        if unmeasured:
            print(f"{unmeasured} not measured: a run was interrupted")
        print(
            f"{regressed} regressed by more than {tolerance:g} %" if regressed else "no regression in what was measured"
        )
        raise typer.Exit(1 if regressed or unmeasured else 0)


@app.command(epilog="Example: vavl-bench report result.json -o result.html -o result.md")
def report(
    result: Annotated[Path, typer.Argument(help="JSON of a run.")],
    output: OutputOption = None,
) -> None:
    """Write a run again in another format; without -o, print its table."""
    with exit_on_error():
        from vavl_bench.reports.table import report_table
        from vavl_bench.reports.writing import write_as
        from vavl_bench.storage import read_report

        read = read_report(result)
        for place in output or []:
            write_as(read, place)
        if not output:
            sys.stdout.write(report_table(read))


def main() -> None:
    """Run the command line."""
    run_app(app)


if __name__ == "__main__":
    main()

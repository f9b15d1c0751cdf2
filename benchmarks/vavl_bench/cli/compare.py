"""``vavl-bench compare``: did a measurement become slower."""

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from vavl_runtime.cli.common import exit_on_error

EPILOG = (
    "Example: vavl-bench compare before.json after.json --tolerance 5 --strict    "
    "Exit codes: 0 no regression, 1 a regression (with --strict also: cannot tell), 2 bad usage, 3 not comparable."
)


class Part(str, Enum):
    """Parts of a measurement's key in which compared measurements may differ."""

    backend = "backend"
    device = "device"
    precision = "precision"
    threads = "threads"


def compare(
    baseline: Annotated[Path, typer.Argument(help="JSON file of the baseline.")],
    others: Annotated[list[Path], typer.Argument(help="JSON files of the runs to judge.")],
    tolerance: Annotated[
        float, typer.Option(min=0, help="A measurement counts as slower if it takes this many percent longer.")
    ] = 5.0,
    across: Annotated[
        list[Part] | None,
        typer.Option(help="Compare measurements that differ in this, such as precision. Repeat for more."),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 1 if a measurement is too unsteady to be judged.")
    ] = False,
) -> None:
    """Say what became slower, compared with a baseline.

    Slower means by more than the tolerance and by more than chance explains. The exit code is then 1. It is also 1 if a
    run was interrupted before it reached a measurement of the baseline.
    """
    with exit_on_error():
        from vavl_bench.compare import compare_reports
        from vavl_bench.reports.table import comparison_table
        from vavl_bench.storage import read_report

        base = read_report(baseline)
        differing = frozenset(part.value for part in across or [])
        regressed = undecided = judged = unmeasured = 0
        for place in others:
            other = read_report(place)
            comparisons = compare_reports(base, other, tolerance / 100, differing)
            print(comparison_table(comparisons, baseline.name, place.name))
            regressed += sum(pair.regressed for pair in comparisons.pairs)
            undecided += sum(pair.undecided for pair in comparisons.pairs)
            judged += len(comparisons.pairs)
            unmeasured += 0 if other.finished else len(comparisons.only_base)
        if unmeasured:
            print(f"{unmeasured} not measured: a run was interrupted")
        if undecided:
            print(
                f"cannot tell for {undecided} of {judged}: measure them again on a quiet machine, with more --windows"
            )
        print(_conclusion(regressed, judged - undecided, tolerance))
        raise typer.Exit(1 if regressed or unmeasured or (strict and undecided) else 0)


def _conclusion(regressed: int, decided: int, tolerance: float) -> str:
    if regressed:
        return f"{regressed} regressed by more than {tolerance:g} %"
    return f"no regression in the {decided} that could be judged" if decided else "nothing could be judged"

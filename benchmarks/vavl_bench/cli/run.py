"""``vavl-bench run``: measure a bundle."""

import shlex
import sys
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vavl_bench.cli.options import (
    SEVERAL,
    OutputOption,
    read_backends,
    read_devices,
    read_numbers,
    read_precisions,
)
from vavl_runtime.cli.common import exit_on_error
from vavl_runtime.cli.options import BACKEND_HELP, DEVICE_HELP, PRECISION_HELP, BundleArgument, ThreadsOption

if TYPE_CHECKING:
    from vavl_bench.plan import Plan
    from vavl_bench.schema import BundleRecord, Report

EPILOG = (
    "Example: vavl-bench my-bundle --graphs --batch 1,4 --seconds 1,3,10 -o result.json -o result.html    "
    "Exit codes: 0 measured, 1 some measurements failed, 2 bad usage, 3 bad input, 4 no such device or backend."
)


class Scope(str, Enum):
    """Timing scopes."""

    graph = "graph"
    model = "model"
    clip = "clip"


class ModelPath(str, Enum):
    """Paths through the model."""

    audio_visual = "audio_visual"
    audio = "audio"
    visual = "visual"


class Scenario(str, Enum):
    """Scenarios of MLPerf inference."""

    single_stream = "single-stream"
    multi_stream = "multi-stream"
    server = "server"
    offline = "offline"


def run(
    bundle: BundleArgument = None,
    scope: Annotated[
        list[Scope] | None, typer.Option(help="What is timed. Default: model and clip. Repeat for more.")
    ] = None,
    graphs: Annotated[bool, typer.Option("--graphs", help="Also measure every graph by itself.")] = False,
    path: Annotated[
        list[ModelPath] | None, typer.Option(help="Paths of model and clip to measure. Default: all. Repeat for more.")
    ] = None,
    scenario: Annotated[
        list[Scenario] | None, typer.Option(help="How queries arrive. Default: single-stream. Repeat for more.")
    ] = None,
    device: Annotated[str, typer.Option(help=f"{DEVICE_HELP} Benchmarks do not allow auto. {SEVERAL}")] = "cpu",
    backend: Annotated[str, typer.Option(help=f"{BACKEND_HELP} {SEVERAL}")] = "auto",
    precision: Annotated[str, typer.Option(help=f"{PRECISION_HELP} {SEVERAL}")] = "fp32",
    batch: Annotated[str, typer.Option(help=f"Clips per query; always 1 in the clip scope. {SEVERAL}")] = "1",
    seconds: Annotated[str, typer.Option(help=f"Length of a clip in the graph and model scopes. {SEVERAL}")] = "3",
    clip: Annotated[
        list[Path] | None,
        typer.Option(help="Media file for the clip scope. Default: a short packaged video. Repeat for more."),
    ] = None,
    bound_ms: Annotated[float, typer.Option(min=0.001, help="Latency bound of the server scenario.")] = 1000.0,
    threads: ThreadsOption = None,
    warm_up: Annotated[float, typer.Option(min=0, help="Seconds of warm-up before each measurement.")] = 1.0,
    window: Annotated[float, typer.Option(min=0.001, help="Length of a window in seconds, at least.")] = 0.5,
    windows: Annotated[int, typer.Option(min=3, help="Number of windows that count.")] = 10,
    tolerance: Annotated[
        float, typer.Option(min=0, help="Windows agree if their medians differ by at most this many percent.")
    ] = 5.0,
    limit: Annotated[float, typer.Option(min=0.1, help="Most seconds for one measurement.")] = 60.0,
    output: OutputOption = None,
) -> None:
    """Measure a bundle."""
    from vavl_bench.plan import Plan
    from vavl_bench.steady_state import WindowSettings

    settings = WindowSettings(warm_up, 3, window, tolerance / 100, windows, limit)
    with exit_on_error():
        from vavl_bench.reports.table import report_table
        from vavl_bench.reports.writing import check_output
        from vavl_bench.runner import new_report, run_plan
        from vavl_bench.workloads import DEFAULT_CLIP
        from vavl_runtime.bundle import find_bundle

        outputs = output or []
        for place in outputs:
            check_output(place)
        found = find_bundle(bundle)
        identity, names = _describe(found)
        scopes = list(scope or [Scope.model, Scope.clip])
        if graphs and Scope.graph not in scopes:
            scopes.insert(0, Scope.graph)
        plan = Plan(
            bundle=found,
            scopes=tuple(item.value for item in scopes),
            paths=tuple(item.value for item in path or list(ModelPath)),
            graphs=names,
            scenarios=tuple(item.value for item in scenario or [Scenario.single_stream]),
            devices=read_devices(device),
            backends=read_backends(backend),
            precisions=read_precisions(precision),
            threads=threads,
            batches=read_numbers(batch, int, "--batch"),
            lengths_s=read_numbers(seconds, float, "--seconds"),
            clips=tuple(clip or [DEFAULT_CLIP]),
            bound_ms=bound_ms,
            windows=settings,
        )
        command = shlex.join(["vavl-bench", *sys.argv[1:]])
        keeper = _Keeper(new_report(command, identity, _settings(plan)), outputs)
        try:
            run_plan(list(plan.measurements()), keeper.report, keep=keeper.keep)
        finally:  # an interruption loses only the current measurement
            if keeper.report.measurements:
                sys.stdout.write(report_table(keeper.report))
                keeper.write_all()
        failed = sum(measurement.error is not None for measurement in keeper.report.measurements)
        if failed:
            raise typer.Exit(3 if failed == len(keeper.report.measurements) else 1)


class _Keeper:
    """Holds the newest report and writes it to the output files."""

    def __init__(self, report: "Report", outputs: list[Path]) -> None:
        self.report = report
        self._outputs = outputs

    def keep(self, report: "Report") -> None:
        """Remember a report, and write its JSON files at once."""
        from vavl_bench.storage import write_report

        self.report = report
        for place in self._outputs:
            if place.suffix == ".json":
                write_report(report, place)

    def write_all(self) -> None:
        """Write every format."""
        from vavl_bench.reports.writing import write_as
        from vavl_runtime.errors import VavlError

        failed: list[VavlError] = []
        for place in self._outputs:
            try:
                write_as(self.report, place)
            except VavlError as error:  # the other formats must not be lost with this one
                failed.append(error)
        if failed:
            raise failed[0]


def _describe(bundle: Path) -> "tuple[BundleRecord, tuple[str, ...]]":
    """Identity and graphs of a bundle."""
    from vavl_bench.schema import BundleRecord
    from vavl_runtime.bundle import open_bundle

    with open_bundle(bundle) as opened:
        manifest = opened.manifest
        record = BundleRecord(name=manifest.name, sha256=opened.sha256, weights=manifest.weights)
        return record, tuple(name for name in manifest.graphs if not name.endswith("_fused"))


def _settings(plan: "Plan") -> dict[str, float | int | str | None]:
    from dataclasses import asdict

    return {**asdict(plan.windows), "threads": plan.threads, "bound_ms": plan.bound_ms}

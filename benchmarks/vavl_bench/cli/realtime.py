"""``vavl-bench will-it-run``: does this device keep up with a live stream."""

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from vavl_runtime.cli.common import exit_on_error
from vavl_runtime.cli.options import (
    BackendName,
    BackendOption,
    BundleArgument,
    DeviceOption,
    Precision,
    PrecisionOption,
    ThreadsOption,
)

EPILOG = (
    "Example: vavl-bench will-it-run my-bundle --fps 25    "
    "Exit codes: 0 PASS, 1 FAIL, 2 bad usage, 3 bad input, 4 no such device or backend."
)


class Printed(str, Enum):
    """How a verdict is printed."""

    table = "table"
    json = "json"


def will_it_run(
    bundle: BundleArgument = None,
    fps: Annotated[float, typer.Option(min=0.1, help="Frames per second of the stream.")] = 25.0,
    clip: Annotated[
        Path | None, typer.Option(help="Video with speech and a face to measure with. Default: a packaged one.")
    ] = None,
    device: DeviceOption = "cpu",
    backend: BackendOption = BackendName.auto,
    precision: PrecisionOption = Precision.fp32,
    threads: ThreadsOption = None,
    reserve: Annotated[float, typer.Option(min=0, max=99, help="Percentage of the time that must stay free.")] = 10.0,
    seconds: Annotated[float, typer.Option(min=0, help="How long to measure.")] = 20.0,
    output_format: Annotated[Printed, typer.Option("--format", "-f", help="How to print the verdict.")] = Printed.table,
) -> None:
    """Say whether this device keeps up with a live stream.

    It also says which stage limits it, and after a FAIL which setting would pass.
    """
    with exit_on_error():
        from vavl_bench.realtime_probe import LiveRequest, probe_live
        from vavl_bench.reports.realtime import verdict_json, verdict_text
        from vavl_bench.workloads import DEFAULT_CLIP
        from vavl_runtime.bundle import find_bundle

        request = LiveRequest(
            bundle=find_bundle(bundle),
            clip=clip or DEFAULT_CLIP,
            fps=fps,
            reserve=reserve / 100,
            seconds=seconds,
            device=device,
            backend=backend.value,
            precision=precision.value,
            threads=threads,
        )
        verdict = probe_live(request)
        print(verdict_json(verdict) if output_format is Printed.json else verdict_text(verdict))
        raise typer.Exit(0 if verdict.passed else 1)

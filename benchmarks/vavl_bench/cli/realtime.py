"""``vavl-bench will-it-run``: does this device keep up with a live stream."""

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from vavl_bench.cli.options import ThreadsOption, read_devices
from vavl_runtime.cli.common import exit_on_error, print_line

EPILOG = (
    "Example: vavl-bench will-it-run --fps 25 --bundle my-bundle    "
    "Exit codes: 0 PASS, 1 FAIL, 2 bad usage, 3 bad input, 4 no such device or backend."
)


class Printed(str, Enum):
    """How a verdict is printed."""

    table = "table"
    json = "json"


def will_it_run(
    fps: Annotated[float, typer.Option(min=0.1, help="Frames a second of the stream.")] = 25.0,
    bundle: Annotated[Path | None, typer.Option(help="Bundle; see vavl-bench run.")] = None,
    clip: Annotated[Path | None, typer.Option(help="Film with sound and a face to probe with.")] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda:N.")] = "cpu",
    backend: Annotated[str, typer.Option(help="Backend; see vavl-run --backend.")] = "auto",
    precision: Annotated[str, typer.Option(help="fp32, fp16, bf16, int8 or auto.")] = "fp32",
    threads: ThreadsOption = None,
    reserve: Annotated[float, typer.Option(min=0, max=99, help="Time that must stay free, percent.")] = 10.0,
    seconds: Annotated[float, typer.Option(min=0, help="How long to probe.")] = 20.0,
    output_format: Annotated[Printed, typer.Option("--format", "-f", help="How to print.")] = Printed.table,
) -> None:
    """Say whether this device keeps up with a live stream, what limits it, and the cheapest setting that would do."""
    with exit_on_error():
        from vavl_bench.realtime_probe import LiveRequest, probe_live
        from vavl_bench.reports.realtime import verdict_json, verdict_text
        from vavl_bench.workloads import DEFAULT_CLIP
        from vavl_runtime.bundle import find_bundle

        named, *more = read_devices(device)
        if more:
            raise typer.BadParameter(f"got {device!r}, expected one device", param_hint="--device")
        request = LiveRequest(
            bundle=find_bundle(bundle),
            clip=clip or DEFAULT_CLIP,
            fps=fps,
            reserve=reserve / 100,
            seconds=seconds,
            device=named,
            backend=backend,
            precision=precision,
            threads=threads,
        )
        verdict = probe_live(request, tell=print_line)
        print(verdict_json(verdict) if output_format is Printed.json else verdict_text(verdict))
        raise typer.Exit(0 if verdict.passed else 1)

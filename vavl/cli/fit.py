"""``vavl-train fit``: train VAVL or a baseline on cached features (Algorithm 1)."""

import shlex
from pathlib import Path
from typing import Annotated, Literal

import typer

from vavl.cli.devices import check_device
from vavl.cli.experiments import create
from vavl.cli.options import ComputeOptions, CorpusOptions, ModelOptions, Options, PartitionOptions
from vavl.cli.reporting import command_line, epoch_printer
from vavl.cli.settings import Without
from vavl.training.settings import FitSettings
from vavl_runtime.cli.common import notify


class RunOptions(Options):
    """What only ``fit`` can be told about its run."""

    output: Annotated[Path, typer.Option("--output", "-o", help="Run folder; an interrupted run in it is resumed.")]
    system: str = "vavl"
    """vavl, or a baseline: uavm, auxformer, mult, unimodal."""
    selection: Literal["audio_visual", "mean", "last"] | None = None
    """Epoch to keep: best development score of the 'audio_visual' path or 'mean' over all paths, or 'last'."""
    paired_only: bool = False
    """Train only on clips that have both modalities."""
    restart: bool = False
    """Delete an earlier run in the folder."""
    devices: Annotated[int, typer.Option(help="Number of devices on this machine, without torchrun.", min=1)] = 1


def fit(
    corpus: CorpusOptions,
    model: ModelOptions,
    run: RunOptions,
    partition: PartitionOptions,
    settings: Annotated[FitSettings, Without("selection")],
    compute: ComputeOptions,
) -> None:
    """Train VAVL or a baseline on one partition; resumes an interrupted run."""
    if compute.accelerator != "auto":
        check_device(compute.accelerator)
    from vavl.training.run import run_experiment

    selection = run.selection or ("last" if partition.partition == "all" else "audio_visual")
    experiment = create(
        corpus,
        model,
        partition=partition.choice(),
        fit={**settings.model_dump(), "selection": selection},
        system=run.system,
        paired_only=run.paired_only,
    )
    run_experiment(
        experiment,
        run.output,
        restart=run.restart,
        accelerator=compute.accelerator,
        devices=run.devices,
        progress=epoch_printer(settings.epochs),
        command=command_line(),
    )
    if partition.partition != "all":  # which leaves no clips to test on
        notify(f"next: {shlex.join(['vavl-train', 'evaluate', str(run.output), '-o', 'report'])}")
    if run.system == "vavl":  # baselines are compared, not exported
        notify(f"next: {shlex.join(['vavl-export', 'onnx', str(run.output), '-o', 'my-bundle'])}")
    print(run.output)

"""``vavl-train fit``: Algorithm 1 on cached features."""

from pathlib import Path
from typing import Annotated, Any

import typer

from vavl.cli.options import (
    Folder,
    Kind,
    PartitionNumber,
    PartitionSeed,
    SkipBad,
    command_line,
    partition_number,
    report_corpus,
)
from vavl_runtime.cli.common import exit_on_error, print_line


def fit(
    kind: Kind,
    folder: Folder,
    features: Annotated[Path, typer.Option(help="Feature cache made by vavl-train features.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Run folder; an interrupted run in it goes on.")],
    partition: PartitionNumber = "1",
    partition_seed: PartitionSeed = 0,
    preset: Annotated[str, typer.Option(help="Model: 'paper' or 'light'.")] = "paper",
    model: Annotated[
        Path | None, typer.Option(help="JSON of model settings that replace the preset's (docs/training.md).")
    ] = None,
    system: Annotated[str, typer.Option(help="vavl, or a baseline: uavm, auxformer, mult, unimodal.")] = "vavl",
    alpha: Annotated[float | None, typer.Option(help="Weight of reconstruction; 2 for classes, else 1.")] = None,
    epochs: Annotated[int, typer.Option(help="Passes over the training set.")] = 20,
    batch_size: Annotated[int, typer.Option(help="Windows a batch and process.")] = 32,
    learning_rate: Annotated[float, typer.Option(help="Of Adam.")] = 5e-5,
    schedule: Annotated[str, typer.Option(help="constant, or cosine with warm-up.")] = "constant",
    weight_decay: Annotated[float, typer.Option(help="Decoupled weight decay.")] = 0.0,
    clip_norm: Annotated[float | None, typer.Option(help="Largest gradient norm of a step.")] = None,
    feature_noise: Annotated[float, typer.Option(help="Random offset a clip and feature, in deviations.")] = 0.0,
    seed: Annotated[int, typer.Option(help="Of weights, order, dropout and noise.")] = 0,
    precision: Annotated[str, typer.Option(help="32-true, bf16-mixed or 16-mixed.")] = "32-true",
    selection: Annotated[
        str | None, typer.Option(help="Epoch kept: best by 'audio_visual' or 'mean' development score, or 'last'.")
    ] = None,
    accelerator: Annotated[str, typer.Option(help="auto, cpu or cuda; under torchrun one process a device.")] = "auto",
    devices: Annotated[int, typer.Option(help="Devices of this machine, without torchrun.")] = 1,
    restart: Annotated[bool, typer.Option("--restart", help="Forget an earlier run in the folder.")] = False,
    skip_bad: SkipBad = False,
) -> None:
    """Train VAVL or a baseline on one partition; resumes where it was interrupted."""
    with exit_on_error():
        import json

        from vavl.corpora import open_corpus
        from vavl.features.cache import FeatureCache
        from vavl.training.experiment import CorpusChoice, PartitionChoice, create_experiment, model_for, run_experiment

        corpus = open_corpus(kind, folder, skip_bad=skip_bad)
        report_corpus(corpus)
        number = partition_number(partition)
        changes: dict[str, Any] = json.loads(model.read_text("utf-8")) if model is not None else {}
        experiment = create_experiment(
            corpus=CorpusChoice(kind=kind, folder=str(folder), skip_bad=skip_bad).model_dump(),
            partition=PartitionChoice(number=number, seed=partition_seed).model_dump(),
            features=str(features),
            model=model_for(preset, corpus, FeatureCache(features), **changes).model_dump(),
            system=system,
            alpha=alpha,
            fit={
                "epochs": epochs,
                "batch_size": batch_size,
                "learning_rate": learning_rate,
                "schedule": schedule,
                "weight_decay": weight_decay,
                "clip_norm": clip_norm,
                "feature_noise": feature_noise,
                "seed": seed,
                "precision": precision,
                "selection": selection or ("last" if number == "all" else "audio_visual"),
            },
        )

        def show(line: dict[str, Any]) -> None:
            scores = "  ".join(f"{key} {value:.3g}" for key, value in line.items() if key != "epoch")
            print_line(f"epoch {line['epoch'] + 1}/{epochs}  {scores}")

        run_experiment(
            experiment,
            output,
            restart=restart,
            accelerator=accelerator,
            devices=devices,
            progress=show,
            command=command_line(),
        )
        print(output)

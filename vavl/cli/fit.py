"""``vavl-train fit``: Algorithm 1 on cached features."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vavl.cli.options import (
    Folder,
    Kind,
    PartitionNumber,
    PartitionSeed,
    SkipBad,
    check_device,
    command_line,
    exit_on_bad_corpus,
    partition_number,
    report_corpus,
)
from vavl.errors import ConfigError
from vavl_runtime.cli.common import print_line

if TYPE_CHECKING:
    from vavl.training.experiment import Experiment

Features = Annotated[Path, typer.Option(help="Feature cache made by vavl-train features.")]
Preset = Annotated[str, typer.Option(help="Model: 'paper' or 'light'.")]
ModelFile = Annotated[Path | None, typer.Option("--model", help="JSON of model settings that replace the preset's.")]
Alpha = Annotated[float | None, typer.Option(help="Weight of reconstruction; by default 2 for classes, else 1.")]
Epochs = Annotated[int, typer.Option(help="Passes over the training set.")]
BatchSize = Annotated[int, typer.Option(help="Windows a batch and process.")]
LearningRate = Annotated[float, typer.Option(help="Of Adam.")]
Schedule = Annotated[str, typer.Option(help="constant, or cosine with warm-up.")]
WeightDecay = Annotated[float, typer.Option(help="Decoupled weight decay.")]
ClipNorm = Annotated[float | None, typer.Option(help="Largest gradient norm of a step.")]
RepeatPaired = Annotated[int, typer.Option(help="How often an epoch shows clips with both modalities.")]
FeatureNoise = Annotated[float, typer.Option(help="Random offset a clip and feature, in deviations.")]
Seed = Annotated[int, typer.Option(help="Of weights, order, dropout and noise.")]
Precision = Annotated[str, typer.Option(help="32-true, bf16-mixed or 16-mixed.")]
Accelerator = Annotated[str, typer.Option(help="auto, cpu or cuda; under torchrun one process a device.")]
ACCELERATORS = ("auto", "cpu", "cuda")


def fit(
    kind: Kind,
    folder: Folder,
    features: Features,
    output: Annotated[Path, typer.Option("--output", "-o", help="Run folder; an interrupted run in it goes on.")],
    partition: PartitionNumber = "1",
    partition_seed: PartitionSeed = 0,
    preset: Preset = "paper",
    model: ModelFile = None,
    system: Annotated[str, typer.Option(help="vavl, or a baseline: uavm, auxformer, mult, unimodal.")] = "vavl",
    uavm_width: Annotated[int, typer.Option(help="Width of UAVM; 1024 in its paper.")] = 1024,
    alpha: Alpha = None,
    epochs: Epochs = 20,
    batch_size: BatchSize = 32,
    learning_rate: LearningRate = 5e-5,
    schedule: Schedule = "constant",
    weight_decay: WeightDecay = 0.0,
    clip_norm: ClipNorm = None,
    feature_noise: FeatureNoise = 0.0,
    repeat_paired: RepeatPaired = 1,
    seed: Seed = 0,
    precision: Precision = "32-true",
    selection: Annotated[
        str | None, typer.Option(help="Epoch kept: best by 'audio_visual' or 'mean' development score, or 'last'.")
    ] = None,
    accelerator: Accelerator = "auto",
    devices: Annotated[int, typer.Option(help="Devices of this machine, without torchrun.", min=1)] = 1,
    paired_only: Annotated[
        bool, typer.Option("--paired-only", help="Train on clips with both modalities alone.")
    ] = False,
    restart: Annotated[bool, typer.Option("--restart", help="Forget an earlier run in the folder.")] = False,
    skip_bad: SkipBad = False,
) -> None:
    """Train VAVL or a baseline on one partition; resumes where it was interrupted."""
    with exit_on_bad_corpus():
        from vavl.training.experiment import run_experiment

        check_accelerator(accelerator)
        values = {"epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate, "schedule": schedule}
        values |= {"weight_decay": weight_decay, "clip_norm": clip_norm, "feature_noise": feature_noise}
        values |= {"repeat_paired": repeat_paired, "seed": seed, "precision": precision}
        values["selection"] = selection or ("last" if partition == "all" else "audio_visual")
        experiment = experiment_from(
            kind,
            folder,
            features,
            partition,
            partition_seed,
            preset,
            model,
            system,
            alpha,
            values,
            skip_bad,
            uavm_width,
        ).model_copy(update={"paired_only": paired_only})

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


def check_accelerator(name: str) -> None:
    """Refuse an accelerator that Lightning Fabric would be surprised by.

    Raises:
        ConfigError: It is none of `ACCELERATORS`.
        BackendUnavailableError: This machine has none.
    """
    if name not in ACCELERATORS:
        raise ConfigError(f"--accelerator {name!r}: expected {', '.join(ACCELERATORS)}")
    if name != "auto":
        check_device(name)


def experiment_from(
    kind: str,
    folder: Path,
    features: Path,
    partition: str,
    partition_seed: int,
    preset: str,
    model: Path | None,
    system: str,
    alpha: float | None,
    fit_values: dict[str, Any],
    skip_bad: bool,
    uavm_width: int,
) -> "Experiment":
    """Turn command-line values into an experiment; prints what is odd about the corpus.

    Raises:
        VavlError: The corpus, the cache, the model file or a value is wrong.
    """
    from vavl.training.experiment import CorpusChoice, create_experiment, model_for, open_corpus_and_cache

    choice = CorpusChoice(kind=kind, folder=str(folder), skip_bad=skip_bad)
    corpus, cache = open_corpus_and_cache(choice, features)
    report_corpus(corpus)
    return create_experiment(
        corpus=choice,
        partition={"number": partition_number(partition), "seed": partition_seed},
        features=str(features),
        model=model_for(preset, corpus, cache, **_read_changes(model)).model_dump(),
        system=system,
        sizes={"uavm": {"width": uavm_width}},
        alpha=alpha,
        fit=fit_values,
    )


def _read_changes(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        changes = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"--model {path}: not a readable JSON file ({error})") from error
    if not isinstance(changes, dict):
        raise ConfigError(f"--model {path}: got a JSON {type(changes).__name__}, expected an object of settings")
    return changes

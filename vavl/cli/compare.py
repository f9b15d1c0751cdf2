"""``vavl-train compare``: the paper's Table 1, Table 2 and Figure 2 on any corpus."""

from pathlib import Path
from typing import Annotated

import typer

from vavl.cli.fit import (
    Accelerator,
    Alpha,
    BatchSize,
    ClipNorm,
    Epochs,
    FeatureNoise,
    Features,
    LearningRate,
    ModelFile,
    Precision,
    Preset,
    RepeatPaired,
    Schedule,
    Seed,
    WeightDecay,
    check_accelerator,
    experiment_from,
)
from vavl.cli.options import Folder, Kind, PartitionSeed, SkipBad, command_line, exit_on_bad_corpus
from vavl_runtime.cli.common import print_line


def compare(
    kind: Kind,
    folder: Folder,
    features: Features,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for results, tables, figure and runs.")],
    partition_seed: PartitionSeed = 0,
    preset: Preset = "paper",
    model: ModelFile = None,
    seeds: Annotated[int, typer.Option(help="Training seeds a partition.", min=1)] = 1,
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
    accelerator: Accelerator = "auto",
    skip_bad: SkipBad = False,
) -> None:
    """Train VAVL, its ablations and its baselines on every partition, and write both tables and the figure."""
    with exit_on_bad_corpus():
        from vavl.evaluation.comparison_page import to_markdown
        from vavl.evaluation.plots import plot_cosine_distances
        from vavl.training.compare import compare as run_comparison
        from vavl_runtime.files import write_atomically

        check_accelerator(accelerator)
        fit = {"epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate, "schedule": schedule}
        fit |= {"weight_decay": weight_decay, "clip_norm": clip_norm, "feature_noise": feature_noise}
        fit |= {"repeat_paired": repeat_paired, "seed": seed, "precision": precision}
        base = experiment_from(
            kind, folder, features, "1", partition_seed, preset, model, "vavl", alpha, fit, skip_bad, uavm_width
        )
        results = run_comparison(
            base,
            output,
            seeds=seeds,
            command=command_line(),
            accelerator=accelerator,
            progress=lambda system, partition, seed: print_line(f"{system}: {partition}, seed {seed}"),
        )
        results.write(output / "results.json")
        page = to_markdown(results)
        write_atomically(output / "results.md", page.encode())
        plot_cosine_distances(results, output / "figure2.png")
        print(page)

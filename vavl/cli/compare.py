"""``vavl-train compare``: the paper's Table 1, Table 2 and Figure 2 on any corpus."""

from pathlib import Path
from typing import Annotated

import typer

from vavl.cli.devices import check_device
from vavl.cli.experiments import create
from vavl.cli.options import ComputeOptions, CorpusOptions, ModelOptions, Options, PartitionSeedOptions
from vavl.cli.reporting import command_line
from vavl.cli.settings import Without
from vavl.training.settings import FitSettings
from vavl_runtime.cli.common import notify


class ComparisonOptions(Options):
    """What only ``compare`` can be told."""

    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for results, tables, the figure and all runs.")]
    seeds: Annotated[int, typer.Option(help="Number of training seeds per partition.", min=1)] = 1


def compare(
    corpus: CorpusOptions,
    model: ModelOptions,
    comparison: ComparisonOptions,
    partitions: PartitionSeedOptions,
    settings: Annotated[FitSettings, Without("selection")],
    compute: ComputeOptions,
) -> None:
    """Train VAVL, its ablations and the baselines on every partition, and write both tables and the figure."""
    if compute.accelerator != "auto":
        check_device(compute.accelerator)
    from vavl.evaluation.comparison_page import to_markdown
    from vavl.evaluation.plots import plot_cosine_distances
    from vavl.training.compare import compare as run_comparison
    from vavl.training.experiment import PartitionChoice
    from vavl_runtime.files import write_atomically

    partition = PartitionChoice(seed=partitions.partition_seed)
    base = create(corpus, model, partition=partition, fit=settings)
    output = comparison.output
    results = run_comparison(
        base,
        output,
        seeds=comparison.seeds,
        command=command_line(),
        accelerator=compute.accelerator,
        progress=lambda system, partition, seed: notify(f"{system}: {partition}, seed {seed}"),
    )
    results.write(output / "results.json")
    page = to_markdown(results)
    write_atomically(output / "results.md", page.encode())
    plot_cosine_distances(results, output / "figure2.png")
    print(page)

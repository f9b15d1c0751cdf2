"""``vavl-train evaluate``: accuracy of finished runs on unseen speakers."""

from pathlib import Path
from typing import Annotated

import typer

from vavl.cli.errors import exit_on_error
from vavl.cli.reporting import command_line, warn_of_random_encoders


def evaluate(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders of vavl-train fit.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for report.json, report.md and plots.")],
) -> None:
    """Report F1 or CCC, confusion and calibration by path, for each partition and over all of them."""
    with exit_on_error():
        from vavl.evaluation.plots import plot_report, plot_training
        from vavl.evaluation.report_page import to_markdown
        from vavl.features.identity import read_identity
        from vavl.training.evaluate import evaluate_runs
        from vavl.training.experiment import Experiment
        from vavl.training.run_folder import read_history
        from vavl_runtime.cli.common import print_line
        from vavl_runtime.files import write_atomically

        for folder in sorted({Experiment.read(run).features for run in runs}):
            warn_of_random_encoders(read_identity(Path(folder)).references)
        report = evaluate_runs(runs, command_line())
        for line in report.off_scale():
            print_line(f"warning: {line}")
        report.write(output / "report.json")
        page = to_markdown(report)
        write_atomically(output / "report.md", page.encode())
        plot_report(report, output)
        for run in runs:
            plot_training(read_history(run), f"Training curves, {run.name}", output / f"training_{run.name}.png")
        print(page)

"""All plots of an evaluation report."""

from pathlib import Path

from vavl.evaluation.markdown import PATH_TITLES
from vavl.evaluation.plots.confusion import plot_confusion
from vavl.evaluation.plots.reliability import plot_reliability, pool_bins
from vavl.evaluation.report import EvaluationReport


def plot_report(report: EvaluationReport, folder: Path) -> tuple[Path, ...]:
    """Draw a confusion matrix and a reliability diagram for each path; attributes have neither.

    Args:
        report: The evaluation.
        folder: Gets the files ``confusion_<path>.png`` and ``reliability_<path>.png``.

    Returns:
        The files.

    Raises:
        OutputError: The folder cannot be written.
    """
    files = []
    for path in report.summary:
        confusion = report.confusion(path)
        if confusion is None:
            continue
        title = f"{report.corpus}, {PATH_TITLES[path]}, {len(report.partitions)} test sets"
        files.append(folder / f"confusion_{path}.png")
        plot_confusion(confusion, report.labels, title, files[-1])
        reports = [partition.paths[path] for partition in report.partitions if path in partition.paths]
        calibrations = [found.calibration for found in reports if found.calibration is not None]
        before, after = pool_bins([c.before for c in calibrations]), pool_bins([c.after for c in calibrations])
        files.append(folder / f"reliability_{path}.png")
        plot_reliability(before, after, title, files[-1])
    return tuple(files)

"""An evaluation report as a Markdown page."""

from vavl.evaluation.calibration import BINS, TEMPERATURES
from vavl.evaluation.markdown import PATH_TITLES, UNDEFINED, bullets, number, p_value, spread, table
from vavl.evaluation.metrics import class_recall, metric_names, metric_title
from vavl.evaluation.provenance import Provenance
from vavl.evaluation.report import EvaluationReport, PathReport, Summary

CALIBRATION_TITLES = {"ece_before": "ECE", "ece_after": "ECE, scaled", "temperature": "temperature"}


def to_markdown(report: EvaluationReport) -> str:
    """Write the page: summary, recall of each class, partitions, and how the numbers were computed."""
    kind = "classes" if report.task == "classification" else "attributes"
    sections = [
        f"# {report.corpus}: {report.task}\n\n"
        f"{len(report.labels)} {kind} ({', '.join(report.labels)}); {len(report.partitions)} partitions; within a "
        "partition, no speaker is in two sets. Mean ± standard deviation over partitions, test sets.\n",
        _summary_table(report),
        *([f"## Recall of each class\n\n{_recall_table(report)}"] if report.task == "classification" else []),
        f"## Partitions\n\n{_speaker_table(report)}",
        _partition_table(report),
        *([_attributes_section(report)] if report.task == "regression" else []),
        f"## How the numbers were computed\n\n{bullets([*_notes(report), *provenance_notes(report.provenance)])}",
    ]
    return "\n".join(sections)


def provenance_notes(provenance: Provenance) -> list[str]:
    """Command, seeds and versions, one note each."""
    return [
        f"Command: `{provenance.command}`",
        "Seeds: " + (", ".join(f"{name} {seed}" for name, seed in provenance.seeds.items()) or "none"),
        "Versions: " + ", ".join(f"{name} {version}" for name, version in provenance.versions.items()),
    ]


def _summary_table(report: EvaluationReport) -> str:
    metrics = metric_names(report.task, report.labels)
    header = ["path", "partitions"]
    for path_summary in list(report.summary.values())[:1]:
        for name in metrics:
            header.append(metric_title(name))
            if (chance := path_summary[name].chance) is not None:
                header.append(f"p against {number(chance)}")
    header += _calibration_titles(report)
    rows = []
    for path, figures in report.summary.items():
        row = [PATH_TITLES[path], str(figures[metrics[0]].partitions)]
        for name in metrics:
            row += [_spread(figures[name]), *([p_value(figures[name].p)] if figures[name].chance is not None else [])]
        rows.append(row + [_spread(figures[name]) for name in CALIBRATION_TITLES if name in figures])
    return table(header, rows)


def _recall_table(report: EvaluationReport) -> str:
    columns = []
    for path in report.summary:
        confusion = report.confusion(path)
        columns.append(class_recall(confusion) if confusion is not None else ())
    rows = [[label, *map(number, values)] for label, *values in zip(report.labels, *columns, strict=True)]
    return table(["class", *(PATH_TITLES[path] for path in report.summary)], rows)


def _speaker_table(report: EvaluationReport) -> str:
    rows = [
        [
            partition.name,
            ", ".join(partition.speakers.test),
            str(len(partition.speakers.development)),
            str(len(partition.speakers.train)),
        ]
        for partition in report.partitions
    ]
    return table(["partition", "test speakers", "development speakers", "training speakers"], rows, text_columns=2)


def _partition_table(report: EvaluationReport) -> str:
    metrics = metric_names(report.task, report.labels)
    rows = []
    for partition in report.partitions:
        for path, figures in partition.paths.items():
            values = [number(figures.metrics[name]) for name in metrics]
            rows.append([partition.name, PATH_TITLES[path], str(figures.clips), *values, *_calibration_cells(figures)])
    header = ["partition", "path", "clips", *map(metric_title, metrics), *_calibration_titles(report)]
    return table(header, rows, text_columns=2)


def _attributes_section(report: EvaluationReport) -> str:
    rows = [
        [
            partition.name,
            PATH_TITLES[path],
            label,
            *map(number, (entry.r, entry.rmse, entry.mean, entry.annotated_mean, entry.lowest, entry.highest)),
            str(entry.off_scale),
        ]
        for partition in report.partitions
        for path, figures in partition.paths.items()
        for label, entry in (figures.attributes or {}).items()
    ]
    header = ["partition", "path", "attribute", "r", "RMSE", "mean", "annotated mean", "lowest", "highest", "off scale"]
    page = f"## Attributes on the scale {report.scale_text}\n\n{table(header, rows, text_columns=3)}"
    return page + (f"\n{bullets(warnings)}" if (warnings := report.off_scale()) else "")


def _calibration_titles(report: EvaluationReport) -> list[str]:
    return [*CALIBRATION_TITLES.values()] if report.task == "classification" else []


def _calibration_cells(figures: PathReport) -> list[str]:
    calibration = figures.calibration
    return [number(getattr(calibration, name)) for name in CALIBRATION_TITLES] if calibration else []


def _spread(summary: Summary) -> str:
    return spread(summary.mean, summary.deviation)


def _notes(report: EvaluationReport) -> list[str]:
    shared = f"{UNDEFINED}: not defined, such as the recall of a class without clips."
    test = "p: two-tailed one-sample t-test of the partitions' values against"
    if report.task == "regression":
        return [
            "CCC: concordance correlation over a whole test set in float64; 0 for constant predictions.",
            f"{test} 0, the CCC of predictions that are independent of the target.",
            "r: Pearson's correlation. It ignores the mean and the spread of the predictions, so a CCC well below r "
            "says that these are wrong. RMSE, means, lowest and highest prediction are on the scale of the "
            "annotations; off scale counts the predictions outside it.",
            shared,
        ]
    return [
        "Macro F1: mean over all classes; a class that neither occurs nor is predicted counts as 0. Micro F1 equals "
        "the accuracy.",
        f"{test} chance, taken as one over the number of classes.",
        f"Recall: over the test sets of all partitions together. {shared}",
        f"ECE: expected calibration error with {BINS} bins of equal width; scaled by the temperature that "
        f"maximises the likelihood of the development set, between {TEMPERATURES[0]:g} and {TEMPERATURES[1]:g}.",
    ]

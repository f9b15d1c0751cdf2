"""The paper's Table 1, Table 2 and the data of Figure 2 as a Markdown page."""

from collections.abc import Sequence

from vavl.evaluation.comparison import Column, ComparisonResults, SystemResults
from vavl.evaluation.markdown import DIGITS, PATH_TITLES, UNDEFINED, bullets, p_value, spread, table
from vavl.evaluation.metrics import metric_names, metric_title
from vavl.evaluation.predictions import PATHS
from vavl.evaluation.report_page import provenance_notes
from vavl.evaluation.statistics import SIGNIFICANT, mean_and_deviation

SEPARATION = "Cosine distance of the shared embeddings"


def to_markdown(results: ComparisonResults) -> str:
    """Write the page: both tables, the p-values, the embedding distances, and the choices."""
    partitions = len({run.partition for run in results.vavl.runs})
    seeds = len({run.seed for run in results.vavl.runs})
    sections = [
        f"# {results.corpus}: comparison\n\n"
        f"{partitions} partitions × {seeds} seeds; mean ± standard deviation over partitions, test sets.\n"
    ]
    if results.those("baseline"):
        sections += [f"## VAVL and baselines (Table 1)\n\n{table_1(results)}", _p_table(results)]
    if results.those("ablation"):
        sections.append(f"## Ablations (Table 2)\n\n{table_2(results)}")
    if any(system.cosine_distances() for system in results.systems):
        sections.append(f"## {SEPARATION} (Figure 2)\n\n{_distance_table(results)}")
    notes = [*_notes(results), *results.choices, *provenance_notes(results.provenance)]
    return "\n".join([*sections, f"## Choices\n\n{bullets(notes)}"])


def table_1(results: ComparisonResults) -> str:
    """VAVL and the baselines by path and metric, with stars (paper Table 1)."""
    return _table(results, (results.vavl, *results.those("baseline")), stars=True)


def table_2(results: ComparisonResults) -> str:
    """VAVL and its ablations by path and metric (paper Table 2)."""
    return _table(results, (results.vavl, *results.those("ablation")), stars=False)


def columns(results: ComparisonResults) -> list[Column]:
    """Path and metric of each column, in the paper's order."""
    return [(path, metric) for path in PATHS for metric in metric_names(results.task, results.labels)]


def _table(results: ComparisonResults, systems: Sequence[SystemResults], stars: bool) -> str:
    rows = [[system.name, f"{system.parameters:,}"] for system in systems]
    for column in columns(results):
        samples = [system.per_partition(*column) for system in systems]
        spreads = [mean_and_deviation(sample) if sample is not None else None for sample in samples]
        best = max((round(known[0], DIGITS) for known in spreads if known is not None), default=None)
        for row, system, known in zip(rows, systems, spreads, strict=True):
            if known is None:
                row.append(UNDEFINED)
                continue
            mean, *rest = spread(*known).split(" ", 1)
            bold = f"**{mean}**" if round(known[0], DIGITS) == best else mean
            mark = results.star(column) if stars and system is results.vavl else ""
            row.append(" ".join([bold + mark.replace("*", "\\*"), *rest]))
    return table(["system", "parameters", *map(_title, columns(results))], rows)


def _p_table(results: ComparisonResults) -> str:
    rows = [
        [system.name, *(p_value(results.p_value(system, column)) for column in columns(results))]
        for system in results.those("baseline")
    ]
    return table(["p, VAVL against", *map(_title, columns(results))], rows)


def _distance_table(results: ComparisonResults) -> str:
    samples = ((system.name, system.cosine_distances()) for system in results.systems)
    return table(
        ["system", "cosine distance"],
        [[name, spread(*mean_and_deviation(sample))] for name, sample in samples if sample is not None],
    )


def _title(column: Column) -> str:
    path, metric = column
    return f"{PATH_TITLES[path]} {metric_title(metric)}"


def _notes(results: ComparisonResults) -> list[str]:
    kind = "paired by partition" if results.test == "paired" else "for independent samples"
    return [
        f"**Bold**: best of a column, as printed. {UNDEFINED}: the system does not define this path.",
        f"\\*: VAVL is better than every baseline of the column, with p < {SIGNIFICANT} against each; two-tailed "
        f"t-test {kind}, seeds averaged within their partition first. "
        "A small p-value says that the means differ; the table above says which one is larger.",
        f"{SEPARATION}: 1 - cos of the acoustic and the visual embedding, mean over test clips with both modalities.",
    ]

"""The stage budgets of a report as lines of text."""

from vavl_runtime.bench.budget import budget_lines
from vavl_runtime.bench.record import Report
from vavl_runtime.bench.reports.columns import media_text


def stage_lines(report: Report) -> list[str]:
    """Write the budget of every cell that has one, with an empty line before each."""
    lines = []
    for cell in report.cells:
        if cell.figures is not None and cell.figures.budget is not None:
            key = cell.key
            lines += ["", f"stages of {key.subject}, {key.scenario}, {media_text(key.media)}, mean of a clip:"]
            lines += [f"  {line}" for line in budget_lines(cell.figures.budget)]
    return lines

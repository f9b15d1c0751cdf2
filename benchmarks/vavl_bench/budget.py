"""The mean stage budget of several clips, as a report keeps it."""

from collections.abc import Sequence

from vavl_bench.schema import Budget
from vavl_runtime.timing import StageBudget


def mean_budget(budgets: Sequence[StageBudget]) -> Budget:
    """Average the budgets of clips.

    Args:
        budgets: What timers booked, one for each clip, at least one.

    Returns:
        Means of a clip; the coverage is that of the sums.
    """
    share = 1000 / len(budgets)
    busy: dict[str, dict[str, float]] = {}
    for budget in budgets:
        for thread, stages in budget.busy_s.items():
            mean = busy.setdefault(thread, {})
            for name, seconds in stages.items():
                mean[name] = mean.get(name, 0.0) + share * seconds
    total = sum(budget.total_s for budget in budgets)
    return Budget(
        total_ms=share * total,
        covered=min(sum(budget.covered_s for budget in budgets) / total, 1.0),
        concurrent_ms=share * sum(budget.concurrent_s for budget in budgets),
        busy_ms=busy,
    )


def as_stage_budget(budget: Budget) -> StageBudget:
    """Give a report's budget the form of a timer's, in seconds."""
    return StageBudget(
        total_s=budget.total_ms / 1000,
        covered_s=budget.covered * budget.total_ms / 1000,
        concurrent_s=budget.concurrent_ms / 1000,
        busy_s={
            thread: {name: value / 1000 for name, value in stages.items()} for thread, stages in budget.busy_ms.items()
        },
    )

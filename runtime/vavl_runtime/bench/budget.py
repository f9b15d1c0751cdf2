"""The stage budget of a clip for people: which stage took how long, on which thread, and what stayed unaccounted."""

from collections.abc import Mapping, Sequence

from vavl_runtime.bench.record import Budget
from vavl_runtime.timing import WAIT, StageBudget

STAGES: dict[str, tuple[str, ...]] = {  # titles, in the order of the work, and the timer's names behind them
    "load": ("load",),
    "demux/decode": ("open", "decode_audio", "decode_video", "window"),
    "resample": ("resample",),
    "detect": ("detect",),
    "track/crop": ("track", "crop"),
    "audio encoder": ("audio_encoder",),
    "face encoder": ("face_encoder",),
    "path": ("path",),
    "post": ("post",),
    "waiting": (WAIT,),
}


def grouped(stages: Mapping[str, float]) -> dict[str, float]:
    """Sum a timer's stages under their titles.

    Args:
        stages: Time by the timer's stage names.

    Returns:
        Time by title, in the order of the work; stages without a title keep their name and come last.
    """
    titles = {name: title for title, names in STAGES.items() for name in names}
    sums: dict[str, float] = {}
    for name, value in stages.items():
        title = titles.get(name, name)
        sums[title] = sums.get(title, 0.0) + value
    order = [title for title in STAGES if title in sums]
    return {title: sums[title] for title in [*order, *(title for title in sums if title not in STAGES)]}


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


def budget_lines(budget: Budget) -> list[str]:
    """Write a budget as a small table.

    Args:
        budget: A budget.

    Returns:
        Lines: a stage each, with its share of the wall time, then the sum.
    """
    lines = []
    for thread, stages in budget.busy_ms.items():
        where = f"  on {thread}" if len(budget.busy_ms) > 1 else ""
        for title, milliseconds in grouped(stages).items():
            share = 100 * milliseconds / max(budget.total_ms, 1e-9)
            lines.append(f"{title:14} {milliseconds:9.1f} ms {share:5.1f} %{where}")
    overlap = f", {budget.concurrent_ms:.1f} ms of it on several threads at once" if budget.concurrent_ms else ""
    lines.append(
        f"{'wall time':14} {budget.total_ms:9.1f} ms, stages account for {100 * budget.covered:.1f} %{overlap}"
    )
    return lines

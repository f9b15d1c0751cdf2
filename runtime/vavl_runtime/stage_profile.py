"""Where a clip's time went, for people: a line a stage, with its thread and its share of the wall time."""

from collections.abc import Mapping

from vavl_runtime.timing import WAIT, StageBudget

STAGES: dict[str, tuple[str, ...]] = {  # titles, in the order of the work, and the timer's names behind them
    "load": ("load",),
    "demux/decode": ("open", "decode_audio", "decode_video", "convert", "window"),
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


def profile_lines(budget: StageBudget) -> list[str]:
    """Write a stage budget as a small table.

    Args:
        budget: What a timer booked.

    Returns:
        Lines: a stage each, with its share of the wall time, then the sum.
    """
    lines = []
    for thread, stages in budget.busy_s.items():
        where = f"  on {thread}" if len(budget.busy_s) > 1 else ""
        for title, seconds in grouped(stages).items():
            share = 100 * seconds / max(budget.total_s, 1e-12)
            lines.append(f"{title:14} {1000 * seconds:9.1f} ms {share:5.1f} %{where}")
    overlap = f", {1000 * budget.concurrent_s:.1f} ms of it on several threads at once" if budget.concurrent_s else ""
    lines.append(
        f"{'wall time':14} {1000 * budget.total_s:9.1f} ms, stages account for {100 * budget.covered:.1f} %{overlap}"
    )
    return lines

"""The section of `docs/benchmarks.md` on the GPU, and the README's line, from the record alone."""

from collections import defaultdict
from typing import Any

from benchmarks.gpu.plan import HEADLINE, PYTORCH, SIDES, Point, point_of, side_name, sides
from benchmarks.record import Record

COMPILED = side_name("torch.compile", "fp16")
# Goals for one clip: p50 of torch.compile over ours, and ours over the bound.
LEAST_GAIN, MOST_BOUND = 2.0, 3.0


def table(record: Record) -> str:
    """The section of a record, complete or not.

    Raises:
        ValueError: It comes from a rehearsal.
    """
    if record["device"] == "cpu" or record["preset"] != "paper":
        raise ValueError("this record comes from a rehearsal, whose figures mean nothing; remove it")
    machine, ceilings = record["environment"], record["ceilings"]
    names = [side_name(*side) for side in SIDES]
    lines = [
        f"## Paper-sized model on one {machine['gpu']}",
        "",
        f"`{record['command']}`: driver {machine['driver']}, torch {machine['torch']}, random weights. p50 in ms, in "
        "brackets clips per second; from host memory to host memory, one query after the other, each side in a process "
        f"of its own. The device copies {ceilings['copy_bytes_per_s'] / 1e12:.2f} TB/s and computes "
        f"{ceilings['product_operations_per_s'] / 1e12:.0f} TFLOP/s in a large fp16 product; the bound is the longer "
        "of a query's operations at this rate and its fp16 weights at that bandwidth.",
        "",
        f"| what | media, s | batch | bound, ms | {' | '.join(names)} |",
        f"|---|---:|---:|---:|{'---:|' * len(names)}",
    ]
    for entry in record["points"]:
        cells = [_cell(entry["sides"].get(name)) for name in names]
        what = f"{entry['scope']} {entry['subject']}"
        bound = f"{bound_ms(entry, ceilings):.3f}"
        lines.append(f"| {what} | {entry['seconds']:g} | {entry['batch']} | {bound} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", *_goals(record), *_not_measured(record)]) + "\n"


def figure(record: Record) -> str:
    """The README's line: one clip, from waveform and crops to the answer; empty while it is not measured."""
    found = _headline(record)
    if found is None:
        return ""
    ours, fast, compiled, bound = found
    return (
        f"- On one {record['environment']['gpu']}, 3 s of sound and crops to the prediction, paper-sized, batch 1: "
        f"{fast:.2f} ms ({ours}), against {compiled:.2f} ms for {COMPILED}: **{compiled / fast:.1f} x**; "
        f"{fast / bound:.1f} x the bound. `{record['command']}`\n"
    )


def bound_ms(entry: Record, ceilings: dict[str, float]) -> float:
    """Time below which a query cannot come: all its operations, or all its weights once, at the device's rates."""
    arithmetic = entry["batch"] * entry["operations"] / ceilings["product_operations_per_s"]
    reading = entry["weight_bytes"] / ceilings["copy_bytes_per_s"]
    return float(1000 * max(arithmetic, reading))


def _headline(record: Record) -> tuple[str, float, float, float] | None:
    """Our fastest side at the headline, its p50, that of torch.compile, and the bound, ms."""
    entry = next((entry for entry in record["points"] if point_of(entry) == HEADLINE), None)
    times = (
        {}
        if entry is None
        else {n: m["metrics"]["latency"]["p50_ms"] for n, m in entry["sides"].items() if m["metrics"]}
    )
    ours = [name for name in times if not name.startswith(PYTORCH)]
    if entry is None or not ours or COMPILED not in times:
        return None
    best = min(ours, key=lambda name: times[name])
    return best, times[best], times[COMPILED], bound_ms(entry, record["ceilings"])


def _goals(record: Record) -> list[str]:
    found = _headline(record)
    if found is None:
        return ["- One clip against torch.compile and the bound: not measured.", ""]
    ours, fast, compiled, bound = found
    return [
        f"- One clip, fastest of ours ({ours}): {compiled / fast:.2f} x as fast as {COMPILED}, goal at least "
        f"{LEAST_GAIN:g}: {_verdict(compiled / fast >= LEAST_GAIN)}.",
        f"- The same against the bound: {fast / bound:.1f} x, goal at most {MOST_BOUND:g}: "
        f"{_verdict(fast / bound <= MOST_BOUND)}.",
        "",
    ]


def _not_measured(record: Record) -> list[str]:
    missing: dict[tuple[str, str], list[Point]] = defaultdict(list)
    for entry in record["points"]:
        for name in (side_name(*side) for side in sides(point_of(entry))):
            measured = entry["sides"].get(name)
            if measured is None:
                missing[name, "the time was up"].append(point_of(entry))
            elif measured["error"] is not None:
                missing[name, measured["error"]["message"]].append(point_of(entry))
    if not missing:
        return ["Everything planned was measured."]
    lines = ["Not measured:", ""]
    for (name, reason), where in missing.items():
        first = where[0]
        more = f" and {len(where) - 1} more" if len(where) > 1 else ""
        lines.append(f"- {name}: {reason} ({first.scope} {first.subject}, batch {first.batch}{more}).")
    return lines


def _cell(measurement: dict[str, Any] | None) -> str:
    if measurement is None or measurement["metrics"] is None:
        return "-"
    metrics = measurement["metrics"]
    return f"{metrics['latency']['p50_ms']:.2f} ({metrics['throughput']['clips_per_s']:.0f})"


def _verdict(held: bool) -> str:
    return "met" if held else "missed"

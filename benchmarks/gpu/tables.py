"""What the record of a GPU becomes: the section of `docs/benchmarks.md`, the goals, and the table of `docs/gpu.md`."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.gpu.plan import HEADLINES, POINTS, STEPS, Point
from benchmarks.record import Record

OURS = ("tensorrt fp16", "onnxruntime fp16")
COMPILED, CAPTURED = "torch.compile fp16", "pytorch CUDA graph fp16"
CLIPS_JOBS = 16
BYTES_PER_WEIGHT = 2  # fp16
EXECUTED = {
    "probe": "one graph of convolutions, ONNX Runtime's CUDA provider",
    "parity packaged": "packaged bundle, fp32, CUDA graphs and a second thread, against the CPU",
    "parity fp32": "paper-sized bundle and its fused graphs, fp32, the same",
    "parity fp16": "paper-sized bundle, fp16, the same",
    "onnxruntime fp16": "paper-sized bundle timed, ONNX Runtime fp16",
    "onnxruntime fp32": "paper-sized bundle timed, ONNX Runtime fp32",
    "tensorrt fp16": "native TensorRT engines",
    "clips": "whole clips, from the file to the result",
}
Goal = tuple[str, str, bool | None]  # the goal, what was reached, and whether that meets it; None: not measured


def table(record: Record) -> str:
    """The section of a record, complete or not.

    Raises:
        ValueError: It comes from a rehearsal.
    """
    _require_gpu(record)
    machine, ceilings = record["environment"], _results(record, "machine").get("ceilings")
    sides = [side for side in POINTS if _results(record, side)]
    lines = [
        f"## Paper-sized model on one {machine['gpu']}",
        "",
        f"`{record['command']}`, {record['date']}: driver {machine['driver']}, torch {machine['torch']}, weights "
        "from a seed. p50 / p95 / p99 in ms, in brackets clips per second; from host memory to host memory, one query "
        "after the other. " + (_ceilings(ceilings) if ceilings else ""),
        "",
        f"| what | {' | '.join(sides)} |",
        f"|---|{'---:|' * len(sides)}",
    ]
    for point in dict.fromkeys(point for points in POINTS.values() for point in points):
        cells = [_cell(_results(record, side).get(str(point))) for side in sides]
        if any(cell != "-" for cell in cells):
            lines.append(f"| {point} | {' | '.join(cells)} |")
    lines += ["", *_costs(record, sides), *_options(record), *_missing(record)]
    return "\n".join(lines).rstrip() + "\n"


def goals(record: Record | None) -> list[Goal]:
    """The goals on a GPU, judged from the record; without one, and where a figure is missing, they are not measured.

    Args:
        record: A record; None if no GPU was at hand.
    """
    steps = record or {"steps": {}}
    audio, visual, both = HEADLINES
    judged = [
        _at_most("audio, 3 s, batch 1, fp16, at most 0.39 ms", steps, audio, 0.39),
        _faster("the same, at most half of torch.compile", steps, audio, COMPILED, 2.0),
    ]
    for title, point in (("visual", visual), ("audio-visual", both)):
        judged.append(_at_most(f"{title}, 3 s, batch 1, fp16, at most 3.7 ms", steps, point, 3.7))
        judged.append(_faster(f"{title}, the same, faster than PyTorch in a CUDA graph", steps, point, CAPTURED, 1.0))
    return [*judged, _share_of_product(steps), _clip_rate(steps)]


def executed(records: Sequence[Record]) -> str:
    """The table of what ran on which GPU.

    Args:
        records: Records of GPUs; rehearsals are refused.
    """
    lines = ["", "| what | GPU | date | driver | versions | outcome |", "|---|---|---|---|---|---|"]
    for name, what in EXECUTED.items():
        rows = [row for record in records if (row := _executed_row(record, name))]
        lines += [f"| {what} | {row} |" for row in rows] or [f"| {what} | none | | | | **not executed on any GPU** |"]
    return "\n".join([*lines, ""])


def figure(record: Record) -> str:
    """The README's line: one clip, from waveform and crops to the answer; empty while it is not measured."""
    _require_gpu(record)
    best, other = _best(record, HEADLINES[2]), _p50(record, CAPTURED, HEADLINES[2])
    if best is None or other is None:
        return ""
    return (
        f"- On one {record['environment']['gpu']}, 3 s of sound and crops to the prediction, paper-sized, batch 1: "
        f"{best[1]:.2f} ms ({best[0]}), against {other:.2f} ms for {CAPTURED}: **{other / best[1]:.1f} x**. "
        f"`{record['command']}`\n"
    )


def _require_gpu(record: Record) -> None:
    if record["device"] == "cpu" or record["preset"] != "paper":
        raise ValueError("this record comes from a rehearsal, whose figures mean nothing; remove it")


def _results(record: Mapping[str, Any], step: str) -> dict[str, Any]:
    found: dict[str, Any] = record["steps"].get(step, {}).get("results", {})
    return found


def _p50(record: Mapping[str, Any], side: str, point: Point) -> float | None:
    result = _results(record, side).get(str(point), {})
    return float(result["latency"]["p50_ms"]) if "latency" in result else None


def _best(record: Mapping[str, Any], point: Point) -> tuple[str, float] | None:
    """Our fastest side at a point, and its p50, ms."""
    times = [(side, time) for side in OURS if (time := _p50(record, side, point)) is not None]
    return min(times, key=lambda found: found[1], default=None)


def _at_most(goal: str, record: Mapping[str, Any], point: Point, limit_ms: float) -> Goal:
    best = _best(record, point)
    return (goal, "", None) if best is None else (goal, f"{best[1]:.2f} ms ({best[0]})", best[1] <= limit_ms)


def _faster(goal: str, record: Mapping[str, Any], point: Point, peer: str, times: float) -> Goal:
    best, other = _best(record, point), _p50(record, peer, point)
    if best is None or other is None:
        return goal, "", None
    return goal, f"{other / best[1]:.2f} x as fast as {peer}", other / best[1] >= times


def operations(work: Mapping[str, Mapping[str, int]], point: Point) -> int:
    """Operations of a query: those of one clip, or one face, times what it holds of them.

    Args:
        work: Of the recipe of the measured bundle, as the record keeps it.
        point: The point.
    """
    faces = round(point.seconds * 25) if point.scope == "model" else 1
    counts = {name: faces if name == "face_encoder" else 1 for name in point.graphs}
    return point.batch * sum(count * work[name][f"{point.seconds:g}"] for name, count in counts.items())


def _share_of_product(record: Mapping[str, Any]) -> Goal:
    goal = "audio at its best batch at least 60 % of the rate of a large product on the same GPU"
    ceilings, work = _results(record, "machine").get("ceilings"), _results(record, "prepare").get("work")
    points = [point for point in POINTS[OURS[1]] if (point.scope, point.subject) == ("model", "audio")]
    found = [(point, best[1]) for point in points if (best := _best(record, point)) is not None]
    if not ceilings or not work or not found:
        return goal, "", None
    rates = {point: operations(work, point) / (time / 1000) for point, time in found}
    best_point = max(rates, key=lambda point: rates[point])
    share = rates[best_point] / ceilings["product_operations_per_s"]
    return goal, f"{share:.0%} ({best_point})", share >= 0.6


def _clip_rate(record: Mapping[str, Any]) -> Goal:
    goal = f"whole clips, {CLIPS_JOBS} CPU cores and one GPU, at least 25 clips/s"
    many = _results(record, "clips").get("many")
    if not many or many["failed"]:
        return goal, f"{many['failed']} clips failed" if many else "", None
    return goal, f"{many['clips_per_s']:.1f} clips/s, {many['jobs']} jobs", many["clips_per_s"] >= 25


def _ceilings(ceilings: Mapping[str, float]) -> str:
    return (
        f"The device copies {ceilings['copy_bytes_per_s'] / 1e12:.2f} TB/s and computes "
        f"{ceilings['product_operations_per_s'] / 1e12:.0f} TFLOP/s in a large fp16 product."
    )


def _cell(result: Mapping[str, Any] | None) -> str:
    if result is None or "latency" not in result:
        return "-"
    times = " / ".join(f"{result['latency'][name]:.2f}" for name in ("p50_ms", "p95_ms", "p99_ms"))
    return f"{times} ({result['clips_per_s']:.0f})" + ("" if result["steady"] else " unsteady")


def _costs(record: Record, sides: Sequence[str]) -> Iterator[str]:
    """Bound, launches, memory and energy at the headlines."""
    ceilings, work = _results(record, "machine").get("ceilings"), _results(record, "prepare").get("work")
    yield "At 3 s and batch 1; memory is what the side's process has taken on the GPU until then:"
    yield ""
    yield "| what | side | bound, ms | kernels | copies | GPU memory, MiB | energy above idle, J |"
    yield "|---|---|---:|---:|---:|---:|---:|"
    for point in HEADLINES:
        bound = f"{bound_ms(work, ceilings, point):.3f}" if work and ceilings else "-"
        for side in sides:
            result = _results(record, side).get(str(point), {})
            if "latency" in result:
                launches = result["launches"]
                cells = [str(launches.get("kernels", "-")), str(launches.get("copies", "-"))]
                cells += [_quantity(result["memory"]["device_mib"], ".0f")]
                cells += [_quantity(result["energy"]["per_clip_j"], ".3f")]
                yield f"| {point} | {side} | {bound} | {' | '.join(cells)} |"
    yield ""


def bound_ms(work: Mapping[str, Mapping[str, int]], ceilings: Mapping[str, float], point: Point) -> float:
    """Time below which a query cannot come: all its operations, or all its fp16 weights once, at the device's rates."""
    arithmetic = operations(work, point) / ceilings["product_operations_per_s"]
    reading = BYTES_PER_WEIGHT * sum(work[name]["weights"] for name in point.graphs) / ceilings["copy_bytes_per_s"]
    return 1000 * max(arithmetic, reading)


def _quantity(quantity: Mapping[str, Any], form: str) -> str:
    return "-" if quantity["value"] is None else format(quantity["value"], form)


def _options(record: Record) -> Iterator[str]:
    measured = {name: result for name, result in _results(record, "options").items() if "latency" in result}
    if measured:
        yield "Options of the CUDA provider, p50 in ms:"
        yield ""
        yield from (f"- {name}: {result['latency']['p50_ms']:.2f}" for name, result in measured.items())
        yield ""


def _missing(record: Record) -> Iterator[str]:
    lines = []
    for step in STEPS:
        entry = record["steps"].get(step.name, {"state": "cut", "results": {}})
        if entry["state"] != "done":
            lines.append(f"- {step.name}: {entry.get('error', 'the time was up')}")
        lines += [f"- {step.name}, {n}: {r['error']}" for n, r in entry["results"].items() if "error" in r]
    yield from ["Not measured, or wrong:", "", *lines] if lines else ["Everything planned was measured."]


def _executed_row(record: Record, step: str) -> str | None:
    """GPU, date, driver, versions and outcome of a step; None if it did not come to run anything there."""
    _require_gpu(record)
    results = {name: result for name, result in _results(record, step).items() if name != "backend"}
    if not results:
        return None
    wrong = [name for name, result in results.items() if "error" in result]
    machine = record["environment"]
    versions = ", ".join(
        f"{name} {machine[name]}" for name in ("onnxruntime", "onnxruntime-gpu", "tensorrt", "torch") if name in machine
    )
    outcome = f"{len(results) - len(wrong)} of {len(results)} right" + (f"; wrong: {', '.join(wrong)}" if wrong else "")
    return f"{machine['gpu']} | {record['date']} | {machine['driver']} | {versions} | {outcome}"

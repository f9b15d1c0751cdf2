"""The section of `docs/benchmarks.md` on the GPU, from the record alone: figures, goals, and what was not measured."""

from collections import defaultdict
from typing import Any

from benchmarks.gpu.plan import ENGINE, Point, engines, points

HEADLINE = Point("whole", "audio_visual", 3.0, 1)
COMPILED = "torch.compile fp16"
# Goals: at one clip, p50 of torch.compile over ours, and ours over the roofline; at the best batch, share of the rate
# that the device reaches in a large matrix product.
LEAST_GAIN, MOST_ROOFLINE, LEAST_SHARE = 2.0, 3.0, 0.6
_COLUMNS = (
    "PyTorch eager fp16",
    COMPILED,
    "PyTorch CUDA graph fp16",
    "ONNX Runtime CUDA graph fp32",
    "ONNX Runtime CUDA graph fp16",
    "ONNX Runtime CUDA graph fp16, NHWC",
)
_SCOPES = {"whole": "encoders and path", "path": "path", "encoder": "encoder"}

Entry = dict[str, Any]


def table(record: dict[str, Any]) -> str:
    """Turn the record into a section.

    Args:
        record: The JSON that `benchmarks.gpu` wrote, complete or not.

    Raises:
        ValueError: It comes from a dry run.
    """
    if record["tiny"]:
        raise ValueError("the record comes from a dry run, whose figures mean nothing; remove it")
    environment, ceilings = record["environment"], record["ceilings"]
    named = (name for name in ("torch", "onnxruntime", "tensorrt", "cuda", "cudnn", "driver") if name in environment)
    libraries = ", ".join(f"{name} {environment[name]}" for name in named)
    lines = [
        f"## Paper-sized model on one {environment['name']}",
        "",
        f"`{record['command']}`: {libraries}. Random weights; inputs lie in device memory and answers stay there; "
        "every engine was first compared with PyTorch in fp32; only what keeps the exporter's tolerance counts for the "
        "goals. Engines take turns; times are between CUDA events. Measured ceilings: "
        f"{ceilings['copy_bytes_per_s'] / 1e12:.2f} TB/s copied, {ceilings['matmul_flops_per_s'] / 1e12:.0f} TFLOP/s "
        "in an fp16 matrix product. The roofline sums over all products the longer of their operations at this rate "
        "and their operands and results at that bandwidth; the floor takes the network for one kernel.",
        "",
    ]
    entries = {_point(entry): entry for entry in record["points"]}
    if HEADLINE in entries:
        lines += [*_headline(entries[HEADLINE]), ""]
    lines += [*_overview(entries), "", *_goals(entries, ceilings), "", *_not_measured(entries)]
    return "\n".join(lines) + "\n"


def figure(record: dict[str, Any]) -> str:
    """The README's line: one clip, from waveform and crops to the answer; empty while it is not measured."""
    entry = next((entry for entry in record["points"] if _point(entry) == HEADLINE), None)
    cells = _measured(entry) if entry else {}
    ours = _fastest(cells)
    if ours is None or COMPILED not in cells:
        return ""
    fast, compiled = cells[ours]["device_ms"]["p50"], cells[COMPILED]["device_ms"]["p50"]
    return (
        f"- On one {record['environment']['name']}, 3 s of sound and crops to the answer, paper-sized, batch 1: "
        f"{fast:.2f} ms ({ours}), against {compiled:.2f} ms for {COMPILED}: **{compiled / fast:.1f} x**; "
        f"{fast / entry['layered_ms']:.1f} x the roofline. `{record['command']}`\n"  # type: ignore[index]
    )


def _headline(entry: Entry) -> list[str]:
    cells = _measured(entry)
    compiled = cells.get(COMPILED)
    lines = [
        f"Waveform and crops to the answer, audio-visual, 3 s, one clip: {entry['operations'] / 1e9:.0f} GFLOP, "
        f"{entry['weight_bytes'] / 1e6:.0f} MB of fp16 weights; roofline {entry['layered_ms']:.3f} ms, floor "
        f"{entry['floor_ms']:.3f} ms.",
        "",
        f"| engine | p50, ms | p95 | p99 | p50 by the host's clock | faster than {COMPILED} | x roofline | clips/s "
        "| J a clip | memory, MiB | error |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for name in sorted(cells, key=lambda name: cells[name]["device_ms"]["p50"]):
        cell, times = cells[name], cells[name]["device_ms"]
        gain = f"{compiled['device_ms']['p50'] / times['p50']:.2f} x" if compiled else "-"
        lines.append(
            f"| {name} | {times['p50']:.3f} | {times['p95']:.3f} | {times['p99']:.3f} | {cell['host_ms']['p50']:.3f} "
            f"| {gain} | {times['p50'] / entry['layered_ms']:.1f} | {cell['clips_per_s']:.0f} "
            f"| {_optional(cell, 'clip_joules', '.3f')} | {_optional(cell, 'memory_mib', '.0f')} "
            f"| {cell['parity']:.0e}{'' if _within(cell) else ', too large'} |"
        )
    return lines


def _overview(entries: dict[Point, Entry]) -> list[str]:
    lines = [
        "p50 in ms, and clips a second in brackets; a dash is not measured.",
        "",
        f"| what | media, s | batch | roofline, ms | {' | '.join(_COLUMNS)} |",
        f"|---|---:|---:|---:|{'---:|' * len(_COLUMNS)}",
    ]
    for point in (point for point in points() if point in entries):
        cells = _measured(entries[point])
        if not cells:
            continue
        figures = [
            f"{cells[name]['device_ms']['p50']:.2f} ({cells[name]['clips_per_s']:.0f})" if name in cells else "-"
            for name in _COLUMNS
        ]
        what = f"{point.path.replace('_', '-')}, {_SCOPES[point.scope]}"
        roof = f"{entries[point]['layered_ms']:.3f}"
        lines.append(f"| {what} | {point.seconds:g} | {point.batch} | {roof} | {' | '.join(figures)} |")
    return lines


def _goals(entries: dict[Point, Entry], ceilings: dict[str, float]) -> list[str]:
    cells = _measured(entries[HEADLINE]) if HEADLINE in entries else {}
    ours = _fastest(cells)
    lines = []
    if ours is not None and COMPILED in cells:
        time = cells[ours]["device_ms"]["p50"]
        gain = cells[COMPILED]["device_ms"]["p50"] / time
        above = time / entries[HEADLINE]["layered_ms"]
        lines += [
            f"* One clip, fastest of ours ({ours}): {gain:.2f} x as fast as {COMPILED}, goal at least {LEAST_GAIN:g}: "
            f"{_verdict(gain >= LEAST_GAIN)}.",
            f"* The same against the roofline: {above:.1f} x, goal at most {MOST_ROOFLINE:g}: "
            f"{_verdict(above <= MOST_ROOFLINE)}.",
        ]
    else:
        lines.append("* One clip against torch.compile and the roofline: not measured.")
    rates = {
        (point, name): cell["clips_per_s"] / point.batch * entry["operations"] / ceilings["matmul_flops_per_s"]
        for point, entry in entries.items()
        if (point.scope, point.path, point.seconds) == (HEADLINE.scope, HEADLINE.path, HEADLINE.seconds)
        for name, cell in _measured(entry).items()
        if ENGINE[name].family != "torch" and _within(cell)
    }
    if rates:
        (point, name), share = max(rates.items(), key=lambda item: item[1])
        entry = entries[point]
        bound = 1000 * entry["operations"] / entry["layered_ms"] / ceilings["matmul_flops_per_s"]
        lines.append(
            f"* Best throughput of ours (batch {point.batch}, {name}): {share:.0%} of the matrix product's rate, goal "
            f"at least {LEAST_SHARE:.0%}: {_verdict(share >= LEAST_SHARE)}; the roofline, whose depthwise convolutions "
            f"are bound by memory, allows {bound:.0%}."
        )
    return lines


def _not_measured(entries: dict[Point, Entry]) -> list[str]:
    missing: dict[tuple[str, str], list[str]] = defaultdict(list)
    for point in points():
        known = {cell["engine"]: cell for cell in entries[point]["cells"]} if point in entries else {}
        for engine in engines(point):
            cell = known.get(engine.name)
            if cell is None:
                missing["every engine" if not known else engine.name, "the time was up"].append(str(point))
            elif cell["status"] != "measured":
                missing[engine.name, cell["reason"]].append(str(point))
            elif "energy_reason" in cell:
                missing["energy", cell["energy_reason"]].append(str(point))
    if not missing:
        return ["Everything planned was measured."]
    lines = ["Not measured:", ""]
    for (name, reason), where in missing.items():
        places = list(dict.fromkeys(where))
        told = "; ".join(places) if len(places) <= 3 else f"{places[0]}; and {len(places) - 1} more"
        lines.append(f"* {name}: {reason} ({told}).")
    return lines


def _point(entry: Entry) -> Point:
    return Point(entry["scope"], entry["path"], entry["seconds"], entry["batch"])


def _measured(entry: Entry) -> dict[str, Any]:
    return {cell["engine"]: cell for cell in entry["cells"] if cell["status"] == "measured"}


def _fastest(cells: dict[str, Any]) -> str | None:
    """The fastest that is not PyTorch and keeps the exporter's tolerance."""
    ours = [name for name, cell in cells.items() if ENGINE[name].family != "torch" and _within(cell)]
    return min(ours, key=lambda name: cells[name]["device_ms"]["p50"], default=None)


def _within(cell: dict[str, Any]) -> bool:
    return bool(cell["parity"] <= cell["tolerance"])


def _optional(cell: dict[str, Any], name: str, form: str) -> str:
    return f"{cell[name]:{form}}" if name in cell else "-"


def _verdict(held: bool) -> str:
    return "held" if held else "missed"

"""The tables of `benchmarks.graphs_cpu`."""

from collections.abc import Iterable, Sequence
from typing import Any

OURS = "vavl_runtime"
OPENVINO_FIXED = "openvino fixed"
PEERS = ("onnxruntime", "onnxruntime fixed", "openvino", OPENVINO_FIXED, "pytorch", "torch.compile")
TITLES = {
    OURS: "vavl-run",
    "onnxruntime": "ONNX Runtime, defaults",
    "onnxruntime fixed": "ONNX Runtime, fixed shapes",
    "openvino": "OpenVINO",
    OPENVINO_FIXED: "OpenVINO, fixed shapes",
    "pytorch": "PyTorch eager",
    "torch.compile": "torch.compile",
}
LIBRARIES = {"numpy": "NumPy's OpenBLAS", "torch": "PyTorch", "onnxruntime": "ONNX Runtime"}
REDUCED = {
    f"{OURS} int8": "vavl-run int8",
    f"{OURS} fp16": "vavl-run fp16",
    "onnxruntime int8": "ONNX Runtime int8",
    "openvino int8": "OpenVINO int8",
    "openvino bf16": "OpenVINO bf16",
}
LOWERED = ("int8", "fp16")  # by variants of the bundle, which keep the float32 graph where lowering does not pay

Case = dict[str, Any]


def table(record: dict[str, Any]) -> str:
    """The tables of a result."""
    machine, cases = record["environment"], record["cases"]
    lines = [
        "## Every graph on the CPU, against its peers",
        "",
        f"`{record['command']}`: {machine['processor']}, {machine['threads']} threads for every side; onnxruntime "
        f"{machine['onnxruntime']}, OpenVINO {machine['openvino'].split('-')[0]}, torch {machine['torch']}. Arrays in, "
        f"arrays out, graphs loaded. Medians of {record['rounds']} rounds in which the sides take turns; in brackets "
        "how many times faster vavl-run is, by medians of the same rounds; for the best peer at batch 1 also the least "
        "and the largest of a round.",
        "",
        *_exact("Batch 1, float32, ms a call:", _single(cases)),
        "",
        *_bounds(record),
        "",
        *_exact(f"Each side at its best batch of {_batches(cases)}, float32, ms a clip or face:", best_batches(cases)),
    ]
    reduced = [case for case in cases if any(side in case["time_s"] for side in REDUCED)]
    if reduced:
        lines += ["", *_reduced(reduced)]
    return "\n".join(lines) + "\n"


def _media(case: Case) -> str:
    return "a face" if case["seconds"] is None else f"{case['seconds']:g} s"


def _batches(cases: Sequence[Case]) -> str:
    sizes = sorted({case["batch"] for case in cases})
    return ", ".join(map(str, sizes[:-1])) + f" and {sizes[-1]}" if len(sizes) > 1 else str(sizes[0])


def _single(cases: Iterable[Case]) -> list[tuple[Case, dict[str, tuple[float, str]]]]:
    """Rows of batch 1: by side, milliseconds and nothing to add."""
    return [
        (case, {side: (1000 * times["median"], "") for side, times in case["time_s"].items()})
        for case in cases
        if case["batch"] == 1
    ]


def best_peer(case: Case) -> str:
    """The peer with the least median time."""
    return min(PEERS, key=lambda side: float(case["time_s"][side]["median"]))


def best_batches(cases: Iterable[Case]) -> list[tuple[Case, dict[str, tuple[float, str]]]]:
    """Rows of the best batch: by side, milliseconds a clip and the batch."""
    groups: dict[tuple[str, str, float | None], list[Case]] = {}
    for case in cases:
        groups.setdefault((case["preset"], case["graph"], case["seconds"]), []).append(case)
    rows = []
    for group in groups.values():
        best: dict[str, tuple[float, str]] = {}
        for side in (OURS, *PEERS):
            share, batch = min((case["time_s"][side]["median"] / case["batch"], case["batch"]) for case in group)
            best[side] = (1000 * share, f" at {batch}")
        rows.append((group[0], best))
    return rows


def _exact(title: str, rows: Sequence[tuple[Case, dict[str, tuple[float, str]]]]) -> list[str]:
    lines = [
        title,
        "",
        "| weights | graph | media | " + " | ".join(TITLES.values()) + " | than the best peer |",
        "|---|---|---|" + "---:|" * (len(TITLES) + 1),
    ]
    for case, times in rows:
        ours = times[OURS][0]
        cells = [f"{ours:.2f}{times[OURS][1]}"]
        cells += [f"{times[side][0]:.2f}{times[side][1]} ({times[side][0] / ours:.2f} x)" for side in PEERS]
        best = min(PEERS, key=lambda side: times[side][0])
        gain = f"**{times[best][0] / ours:.2f} x**"
        if not times[best][1]:  # one batch: the same rounds
            rounds = case["advantage"][best]
            gain += f" ({rounds['least']:.2f} to {rounds['largest']:.2f})"
        lines.append(f"| {case['preset']} | {case['graph']} | {_media(case)} | {' | '.join(cells)} | {gain} |")
    return lines


def least_time(case: Case, record: Case) -> float:
    """Seconds that a call takes at least: its operations at the largest rate, or its weights' way from memory."""
    arithmetic: float = case["operations"] / max(record["product_rates"].values())
    reading: float = case["weight_bytes"] / record["read_rate"]
    return max(arithmetic, reading)


def _bounds(record: dict[str, Any]) -> list[str]:
    """What bounds the graphs: rates of large products and of memory, and how near each graph comes to them."""
    known = ", ".join(f"{rate / 1e9:.0f} in {LIBRARIES[name]}" for name, rate in record["product_rates"].items())
    lines = [
        f"What bounds them: large float32 matrix products reach, in 10⁹ operations a second, {known}; memory is read "
        f"at {record['read_rate'] / 1e9:.0f} · 10⁹ bytes a second. A call takes at least as long as its products and "
        "convolutions at the largest of these rates, or as reading its weights once. At batch 1 vavl-run's graphs do:",
        "",
        "| weights | graph | media | 10⁹ operations | 10⁶ bytes of weights | at least, ms | by "
        "| 10⁹ operations a second | of the bound |",
        "|---|---|---|---:|---:|---:|---|---:|---:|",
    ]
    for case in record["cases"]:
        if case["batch"] == 1:
            least, median = least_time(case, record), case["time_s"][OURS]["median"]
            reading = case["weight_bytes"] / record["read_rate"] == least
            lines.append(
                f"| {case['preset']} | {case['graph']} | {_media(case)} | {case['operations'] / 1e9:.2f} "
                f"| {case['weight_bytes'] / 1e6:.1f} | {1000 * least:.2f} | {'memory' if reading else 'arithmetic'} "
                f"| {case['operations'] / median / 1e9:.0f} | {least / median:.0%} |"
            )
    return lines


def _reduced(cases: Sequence[Case]) -> list[str]:
    lines = [
        "Reduced precision, batch 1, ms a call; in brackets how many times faster than vavl-run in float32, and the "
        "largest difference of an output from it, as a share of the largest value. Inputs are noise, far from what "
        "int8 was calibrated on, so its differences here are not its drift on clips. OpenVINO takes bf16 by itself "
        "where the processor has it, so it stands here and not above.",
        "",
        "| weights | graph | media | vavl-run float32 | " + " | ".join(REDUCED.values()) + " |",
        "|---|---|---|" + "---:|" * (len(REDUCED) + 1),
    ]
    for case in cases:
        ours = case["time_s"][OURS]["median"]
        cells = [f"{1000 * ours:.2f}"]
        for side in REDUCED:
            precision = side.split()[-1]
            if side in case["time_s"] and precision in LOWERED and precision not in case["lowered"]:
                cells.append("stays float32")
            elif side in case["time_s"]:
                theirs, difference = case["time_s"][side]["median"], case["largest_difference"][side]
                cells.append(f"{1000 * theirs:.2f} ({ours / theirs:.2f} x, {difference:.0e})")
            else:
                cells.append("refused" if side in case["refused"] else "")
        lines.append(f"| {case['preset']} | {case['graph']} | {_media(case)} | {' | '.join(cells)} |")
    return lines

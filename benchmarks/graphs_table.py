"""The section of `benchmarks.graphs_cpu`."""

from collections.abc import Iterable, Sequence

from benchmarks.record import Record

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

Row = tuple[Record, dict[str, tuple[float, str]]]  # a case, and by side milliseconds and the batch they are for


def table(record: Record) -> str:
    """The section of a record."""
    machine, cases = record["environment"], record["cases"]
    lines = [
        "## Every graph on the CPU, against its peers",
        "",
        f"`{record['command']}`: {machine['processor']}, {machine['threads']} threads for every side; onnxruntime "
        f"{machine['onnxruntime']}, OpenVINO {machine['openvino'].split('-')[0]}, torch {machine['torch']}. Arrays in, "
        f"arrays out, graphs loaded. Medians of {record['rounds']} rounds in which the sides take turns; in brackets "
        "how many times faster vavl-run is, by medians of the same rounds. The last column names the ratio to the best "
        "peer; at batch 1 also the least and the largest ratio of a round.",
        "",
        *_exact("Batch 1, float32, ms per call:", single(cases)),
        "",
        *_bounds(record),
        "",
        *_exact(
            f"Each side at its best batch of {_batches(cases)}, float32, ms per clip or face:", best_batches(cases)
        ),
    ]
    if reduced := [case for case in cases if any(side in case["time_s"] for side in REDUCED)]:
        lines += ["", *_reduced(reduced)]
    return "\n".join(lines) + "\n"


def single(cases: Iterable[Record]) -> list[Row]:
    """Rows of batch 1."""
    return [
        (case, {side: (1000 * times["median"], "") for side, times in case["time_s"].items()})
        for case in cases
        if case["batch"] == 1
    ]


def best_batches(cases: Iterable[Record]) -> list[Row]:
    """Rows in which each side stands at its best batch."""
    groups: dict[tuple[str, str, float | None], list[Record]] = {}
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


def best_peer(case: Record) -> str:
    """The peer with the least median time."""
    return min(PEERS, key=lambda side: float(case["time_s"][side]["median"]))


def least_time(case: Record, record: Record) -> float:
    """Seconds that a call takes at least: its operations at the largest rate, or reading its weights from memory."""
    arithmetic: float = case["operations"] / max(record["product_rates"].values())
    reading: float = case["weight_bytes"] / record["read_rate"]
    return max(arithmetic, reading)


def _what(case: Record) -> str:
    media = "a face" if case["seconds"] is None else f"{case['seconds']:g} s"
    return f"| {case['preset']} | {case['graph']} | {media} |"


def _batches(cases: Sequence[Record]) -> str:
    sizes = sorted({case["batch"] for case in cases})
    return ", ".join(map(str, sizes[:-1])) + f" and {sizes[-1]}" if len(sizes) > 1 else str(sizes[0])


def _exact(title: str, rows: Sequence[Row]) -> list[str]:
    lines = [
        title,
        "",
        "| weights | graph | media | " + " | ".join(TITLES.values()) + " | to the best peer |",
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
        lines.append(f"{_what(case)} {' | '.join(cells)} | {gain} |")
    return lines


def _bounds(record: Record) -> list[str]:
    """What bounds the graphs: rates of large products and of memory, and how near each graph comes to them."""
    known = ", ".join(f"{rate / 1e9:.0f} in {LIBRARIES[name]}" for name, rate in record["product_rates"].items())
    lines = [
        f"What bounds them: large float32 matrix products reach, in 10⁹ operations per second, {known}; memory is read "
        f"at {record['read_rate'] / 1e9:.0f} · 10⁹ bytes per second. A call takes at least as long as its products and "
        "convolutions at the largest of these rates, or as reading its weights once. At batch 1 vavl-run's graphs do:",
        "",
        "| weights | graph | media | 10⁹ operations | 10⁶ bytes of weights | at least, ms | bound by "
        "| 10⁹ operations per second | of the bound |",
        "|---|---|---|---:|---:|---:|---|---:|---:|",
    ]
    for case in record["cases"]:
        if case["batch"] == 1:
            least, median = least_time(case, record), case["time_s"][OURS]["median"]
            reading = case["weight_bytes"] / record["read_rate"] == least
            lines.append(
                f"{_what(case)} {case['operations'] / 1e9:.2f} | {case['weight_bytes'] / 1e6:.1f} "
                f"| {1000 * least:.2f} | {'memory' if reading else 'arithmetic'} "
                f"| {case['operations'] / median / 1e9:.0f} | {least / median:.0%} |"
            )
    return lines


def _reduced(cases: Sequence[Record]) -> list[str]:
    lines = [
        "Reduced precision, batch 1, ms per call; in brackets how many times faster than vavl-run in float32, and the "
        "largest difference of an output from it, as a share of the largest value. The inputs are noise, far from what "
        "int8 was calibrated on, so the differences of int8 here are not its drift on clips. OpenVINO takes bf16 by "
        "itself where the processor has it, so it stands here and not above.",
        "",
        "| weights | graph | media | vavl-run float32 | " + " | ".join(REDUCED.values()) + " |",
        "|---|---|---|" + "---:|" * (len(REDUCED) + 1),
    ]
    for case in cases:
        cells = [f"{1000 * case['time_s'][OURS]['median']:.2f}", *(_reduced_cell(case, side) for side in REDUCED)]
        lines.append(f"{_what(case)} {' | '.join(cells)} |")
    return lines


def _reduced_cell(case: Record, side: str) -> str:
    precision = side.split()[-1]
    if side not in case["time_s"]:
        return "refused" if side in case["refused"] else ""
    if precision in LOWERED and precision not in case["lowered"]:
        return "stays float32"
    ours, theirs = case["time_s"][OURS]["median"], case["time_s"][side]["median"]
    return f"{1000 * theirs:.2f} ({ours / theirs:.2f} x, {case['largest_difference'][side]:.0e})"

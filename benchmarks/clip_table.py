"""The section and the README's table of `benchmarks.clip_cpu`."""

from collections.abc import Iterable

from benchmarks.record import Record

OURS, EVERY_FRAME, BEST_PARTS = "vavl_runtime", "vavl_runtime, every frame detected", "best parts"
INT8 = "vavl_runtime, int8"
TITLES = {
    "pytorch": "PyTorch eager",
    "torch.compile": "torch.compile",
    BEST_PARTS: "best parts",
    OURS: "vavl-run",
    EVERY_FRAME: "vavl-run, every frame detected",
    INT8: "vavl-run --precision auto",
}
FRONT_PEERS = {
    "pytorch": "PyTorch eager (facenet-pytorch, timm, transformers)",
    "torch.compile": "the same with `torch.compile`",
    BEST_PARTS: "the fastest part of other libraries for each stage, combined",
}
FRONT_OURS = {OURS: "VAVL Edge, fp32", INT8: "VAVL Edge, `--precision auto`"}
ABOUT_PARTS = (
    " *Best parts* is facenet-pytorch on every fifth frame with the same interpolation, and for each stage the faster "
    "of ONNX Runtime with default options and OpenVINO on the bundle's graphs."
)
STAGE_TITLES = {"alongside": "decode frames, in parallel with the others"}
ENGINES = ("torch", "onnxruntime", "openvino")


def table(record: Record) -> str:
    """The section of a record."""
    machine, clip, whole = record["environment"], record["clip"], record["whole"]
    difference = record["largest_prediction_difference"]
    sides = [side for side in TITLES if side in whole]
    lines = [
        "## One clip on the CPU, paper-sized, audio-visual",
        "",
        f"`{record['command']}`: a clip of {clip['seconds']:.1f} s, {clip['frames']} frames; {machine['processor']}, "
        f"{machine['threads']} threads, {_versions(machine)}. Random weights, fp32; {len(record['rounds'][OURS])} "
        "rounds in which the sides take turns, least time of each stage, ms. Scope: file in, result out, models loaded."
        + (ABOUT_PARTS if BEST_PARTS in whole else ""),
        "",
        "| stage | " + " | ".join(TITLES[side] for side in sides) + " |",
        "|---|" + "---:|" * len(sides),
    ]
    for stage in record["seconds"][OURS]:
        lines.append(
            f"| {STAGE_TITLES.get(stage, stage)} | {_cells(1000 * record['seconds'][side][stage] for side in sides)} |"
        )
    for title, statistic in (("least", "least"), ("median", "median")):
        lines.append(f"| **whole clip**, {title} | {_cells(1000 * whole[side][statistic] for side in sides)} |")
    for ours, advantages in record["advantage"].items():
        gains = " | ".join(_gain(advantages.get(side)) for side in sides)
        lines.append(f"| {TITLES[ours]} is faster than this, by medians (least to largest of a round) | {gains} |")
    lines += [
        "",
        f"Largest difference of a probability from PyTorch's answer: {difference[EVERY_FRAME]:.1e} with every frame "
        f"detected, {difference[OURS]:.1e} with the default recipe (detection on every fifth frame, the boxes between "
        "interpolated).",
    ]
    if INT8 in sides:
        lines[-1] += (
            f" `--precision auto`: int8 for {', '.join(record['int8_graphs'])}, which moves a probability by up to "
            f"{difference[INT8]:.1e}; with random weights this says nothing about labels."
        )
    if memory := record.get("resident_mb"):
        lines += [
            "",
            f"Peak memory of a process that runs vavl-run alone: {memory['paper']['peak']:.0f} MB with these weights, "
            f"{memory['packaged']['peak']:.0f} MB with the packaged bundle.",
        ]
    return "\n".join(lines) + "\n"


def figure(record: Record) -> str:
    """The README's table: the median time of a clip on each side, and how much faster the runtime is than its peers."""
    clip, machine, whole = record["clip"], record["environment"], record["whole"]
    ours = {side: title for side, title in FRONT_OURS.items() if side in whole}
    peers = {side: title for side, title in FRONT_PEERS.items() if side in whole}
    lines = [
        f"One clip of {clip['seconds']:.1f} s with sound and a face, a model of the paper's size, from the file to the "
        f"result, on {machine['threads']} threads of a CPU ({machine['processor']}). `--precision auto` takes int8 "
        "where it was measured to be faster.",
        "",
        "| | Median time | " + " | ".join(f"{title} is faster by" for title in ours.values()) + " |",
        "|---|---:|" + "---:|" * len(ours),
    ]
    for side, title in (peers | {side: f"**{title}**" for side, title in ours.items()}).items():
        gains = [record["advantage"][mine].get(side) if side in peers else None for mine in ours]
        cells = " | ".join(f"{gain['of_medians']:.1f} x" if gain else "" for gain in gains)
        lines.append(f"| {title} | {whole[side]['median']:.1f} s | {cells} |")
    return "\n".join([*lines, "", f"Measured by `{record['command']}`."]) + "\n"


def _versions(machine: Record) -> str:
    return ", ".join(f"{name} {machine[name].split('-')[0]}" for name in ENGINES if name in machine)


def _cells(values: Iterable[float]) -> str:
    return " | ".join(f"{value:.0f}" for value in values)


def _gain(advantage: dict[str, float] | None) -> str:
    if advantage is None:
        return ""
    return f"{advantage['of_medians']:.2f} x ({advantage['least']:.2f} to {advantage['largest']:.2f})"

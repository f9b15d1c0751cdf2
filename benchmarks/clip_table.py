"""The section and the README's line of `benchmarks.clip_cpu`."""

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
    """The README's line."""
    median = {side: times["median"] for side, times in record["whole"].items()}
    gain = {side: f"{each['of_medians']:.1f} x" for side, each in record["advantage"][OURS].items()}
    others = {
        "torch.compile": "faster than torch.compile",
        BEST_PARTS: "faster than facenet-pytorch on every fifth frame with the faster of ONNX Runtime and OpenVINO",
    }
    text = (
        f"- A {record['clip']['seconds']:.1f} s clip, paper-sized model, from the file to the result, "
        f"{record['environment']['threads']} CPU threads: {median[OURS]:.1f} s, against {median['pytorch']:.1f} s for "
        f"the eager PyTorch pipeline (facenet-pytorch, timm, transformers): **{gain['pytorch']} faster**"
    )
    text += "".join(f"; {gain[side]} {words}" for side, words in others.items() if side in gain)
    if INT8 in record["advantage"]:
        lowered = record["advantage"][INT8]["pytorch"]["of_medians"]
        text += f"; with `--precision auto` (int8 where worth it) {lowered:.1f} x faster than PyTorch"
    return f"{text}. `{record['command']}`\n"


def _versions(machine: Record) -> str:
    return ", ".join(f"{name} {machine[name].split('-')[0]}" for name in ENGINES if name in machine)


def _cells(values: Iterable[float]) -> str:
    return " | ".join(f"{value:.0f}" for value in values)


def _gain(advantage: dict[str, float] | None) -> str:
    if advantage is None:
        return ""
    return f"{advantage['of_medians']:.2f} x ({advantage['least']:.2f} to {advantage['largest']:.2f})"

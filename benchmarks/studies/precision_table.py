"""The table of `benchmarks.studies.precision_drift`."""

from typing import Any

WAYS = {"run": "as it is", "emulated": "rounding emulated"}


def table(record: dict[str, Any]) -> str:
    """Turn the record into a section.

    Args:
        record: The JSON that this program wrote.
    """
    allowed = record["allowed"]
    lines = [
        "## What lower precision costs: the packaged bundle",
        "",
        f"`{record['command']}`: onnxruntime {record['environment']['onnxruntime']}, CPU. The weights were trained on "
        "these clips, so F1 is there to be compared and is no accuracy. fp16 and bf16 with every tensor rounded in "
        "between, as a GPU computes, and fp16 also as the CPU runs it. Margin: how far the first label led the second "
        "in fp32 where it flipped, at most.",
        "",
        "| path | precision | clips | labels that flip | margin | macro F1, fp32 | macro F1 | within limits |",
        "|---|---|---:|---:|---:|---:|---:|---|",
    ]
    for row, passed in zip(record["drift"], record["passed"], strict=True):
        precision = row["precision"]
        limits = f"flips {100 * allowed['flips'][precision]:g} %, loss {100 * allowed['loss'][precision]:g} points"
        lines.append(
            f"| {row['path']} | {precision}, {WAYS[row['how']]} | {row['clips']} | {row['flips']} "
            f"({100 * row['flips'] / row['clips']:.2f} %) | {_margin(row)} | {row['fp32']['macro_f1']:.4f} "
            f"| {row['variant']['macro_f1']:.4f} | {'yes' if passed else '**no**'} ({limits}) |"
        )
    lines += [
        "",
        "| graph in int8 | speed, x that of fp32 | not taken by `--precision auto`, because |",
        "|---|---:|---|",
    ]
    lines += [
        f"| {name} | {speed['speedup']:.2f} | {speed['reason'] or ''} |" for name, speed in record["int8"].items()
    ]
    return "\n".join(lines) + "\n"


def _margin(row: dict[str, Any]) -> str:
    return f"{row['flip_margin']:.1e}" if row["flips"] else ""

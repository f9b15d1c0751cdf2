"""The table of `benchmarks.studies.tensorrt_build`."""

from typing import Any

_COLUMNS = ("audio_encoder", "face_encoder", "audio_visual", "audio", "visual")


def table(record: dict[str, Any]) -> str:
    """Turn the record into a section.

    Args:
        record: The JSON that `benchmarks.studies.tensorrt_build` wrote.
    """
    rows = [row for row in record["engines"] if row["graph"] in _COLUMNS]
    targets = list(dict.fromkeys(row["target"] for row in rows))
    environment = record["environment"]
    attention = [row for row in rows if row["attention_blocks"]]
    fused = [row for row in attention if row["fused_blocks"] == row["attention_blocks"]]
    lines = [
        "## TensorRT engines, built without a GPU",
        "",
        f"`{record['command']}`: TensorRT-RTX {environment['tensorrt-rtx-cu13']} on {environment['processor']}, random "
        f"weights, the shipped profiles, for {', '.join(targets)}. {len(record['engines'])} engines, no parser error; "
        f"all attention fused in {len(fused)} of {len(attention)} engines that have any. Nothing was run: time, size "
        "and memory are the builder's, smallest and largest over the targets. The machine is shared: times are rough.",
        "",
        "| size | graph | precision | profiles | attention blocks fused | build, s | plan, MB | activations, MB |",
        "|---|---|---|---:|---:|---:|---:|---:|",
    ]
    for key in dict.fromkeys((row["preset"], row["graph"], row["precision"]) for row in rows):
        same = [row for row in rows if (row["preset"], row["graph"], row["precision"]) == key]
        blocks = {f"{row['fused_blocks']:g} of {row['attention_blocks']}" for row in same}
        lines.append(
            f"| {' | '.join(key)} | {same[0]['profiles']} | {', '.join(sorted(blocks))} "
            f"| {_range([row['build_seconds'] for row in same], 1, 1)} "
            f"| {_range([row['plan_bytes'] for row in same], 1e6, 1)} "
            f"| {_range([row['activation_bytes'] for row in same], 1e6, 0)} |"
        )
    return "\n".join(lines) + "\n"


def _range(values: list[float], unit: float, digits: int) -> str:
    low, high = (f"{value / unit:.{digits}f}" for value in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"

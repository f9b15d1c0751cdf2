"""The goals that were set before anything was measured, and whether the records in `benchmarks/results` meet them."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from statistics import median

from benchmarks.clip_table import BEST_PARTS, INT8, OURS
from benchmarks.gpu import tables as gpu_tables
from benchmarks.graphs_table import PEERS, best_batches, best_peer
from benchmarks.record import Record

Outcome = tuple[str, str, bool]  # the goal, the figures reached, and whether they meet it


def section(records: Mapping[str, Record]) -> str:
    """Write the section.

    Args:
        records: Records by the name of their benchmark; goals of a missing one are left out.
    """
    lines = [
        "## Goals",
        "",
        "Set before anything was measured; every figure comes from the sections above. What bounds the missed ones is "
        "written by hand in the [performance notes](performance-notes.md).",
        "",
        "| goal | reached | |",
        "|---|---|---|",
    ]
    for name, judge in JUDGES.items():
        for goal, reached, met in judge(records[name]) if name in records else ():
            lines.append(f"| {goal} | {reached} | {'met' if met else '**missed**'} |")
    for goal, reached, met in gpu_tables.goals(records.get("gpu")):
        verdict = {None: "not measured", True: "met", False: "**missed**"}[met]
        lines.append(f"| GPU: {goal} | {reached if 'gpu' in records else 'no GPU was at hand'} | {verdict} |")
    return "\n".join(lines) + "\n"


def _graphs(record: Record) -> Iterator[Outcome]:
    ratios = [case["advantage"][best_peer(case)]["of_medians"] for case in record["cases"] if case["batch"] == 1]
    yield (
        "Each graph at least as fast as the best of its peers, batch 1",
        f"{_range(ratios)} x, median {median(ratios):.2f}",
        min(ratios) >= 1,
    )
    best = [min(times[side][0] for side in PEERS) / times[OURS][0] for _, times in best_batches(record["cases"])]
    yield (
        "The same, each side at its best batch",
        f"{_range(best)} x, median {median(best):.2f}",
        min(best) >= 1,
    )
    encoders = [case for case in record["cases"] if case["graph"].endswith("_encoder") and case["batch"] == 1]
    lowered = [case for case in encoders if "int8" in case["lowered"]]
    gains = [1 / case["advantage"][f"{OURS} int8"]["of_medians"] for case in lowered]
    named = ", ".join(sorted({f"{case['preset']} {case['graph']}" for case in lowered}))
    kept = {f"{case['preset']} {case['graph']}" for case in encoders} & record["stays_float32"].keys()
    yield (
        "int8 at least 1.6 x as fast as float32 on the encoders, within the drift limits",
        (f"{_range(gains)} x for the {named}" if gains else "none")
        + "".join(f"; {name} {record['stays_float32'][name]}" for name in sorted(kept)),
        bool(gains) and min(gains) >= 1.6 and not kept,
    )


def _clip(record: Record) -> Iterator[Outcome]:
    titles = {OURS: "float32", INT8: "`--precision auto` against float32"}
    sides = [side for side in titles if side in record["advantage"]]
    for peer, goal, wanted in (
        ("pytorch", "A whole clip at least 4 x as fast as the eager PyTorch pipeline", 4.0),
        (BEST_PARTS, "A whole clip at least 1.5 x as fast as the best peer made of the same parts", 1.5),
    ):
        for side in sides:
            ratio = record["advantage"][side][peer]
            reached = f"{ratio['of_medians']:.2f} x ({ratio['least']:.2f} to {ratio['largest']:.2f} in a round)"
            yield f"{goal}, {titles[side]}", reached, ratio["of_medians"] >= wanted
    seconds, whole = record["seconds"], record["whole"]
    shares = {side: (seconds[side]["detect"] + seconds[side]["crop"]) / whole[side]["least"] for side in sides}
    lowered = f"; {shares[INT8]:.1%} with `--precision auto`" if INT8 in shares else ""
    yield (
        "Detection and cropping below 15 % of a clip",
        f"{shares[OURS]:.1%} in float32{lowered}",
        max(shares.values()) < 0.15,
    )


def _one_core(record: Record) -> Iterator[Outcome]:
    films = record["films"]
    factors = [film["took_s"] / film["seconds"] for film in films.values()]
    peaks = {title: film["peak_mb"] for title, film in films.items()}
    longest = max(films, key=lambda title: films[title]["seconds"])
    large = max(peaks, key=lambda title: peaks[title])
    yield (
        "The light bundle faster than real time on one core, everything included",
        f"{_range(factors)} s for a second of video",
        max(factors) < 1,
    )
    yield (
        "Its resident memory below 300 MB",
        f"{min(peaks.values()):.0f} to {max(peaks.values()):.0f} MB, the most at {large}",
        max(peaks.values()) < 300,
    )
    yield (
        "Memory of an hour-long video equal to that of a minute",
        f"{peaks[longest]:.0f} MB against {peaks['a minute']:.0f}, of it FFmpeg's index "
        f"{films[longest]['index_mb']:.0f} MB",
        peaks[longest] <= 1.05 * peaks["a minute"],
    )


def _startup(record: Record) -> Iterator[Outcome]:
    ratio, seconds = record["ratio"]["median"], record["median"]
    floor = 1 + seconds["libraries"] / seconds["inference"]
    yield (
        "`vavl-run` on a 3 s clip below 1.5 x the time of its own inference, light bundle",
        f"{ratio:.2f} x; {floor:.2f} x with nothing but the imports of the libraries around the inference",
        ratio < 1.5,
    )


def _drift(record: Record) -> Iterator[Outcome]:
    def rows(precision: str, how: str) -> list[Record]:
        return [row for row in record["drift"] if (row["precision"], row["how"]) == (precision, how)]

    run, emulated = rows("fp16", "run"), rows("fp16", "emulated")
    flips = [sum(row["flips"] for row in found) for found in (run, emulated)]
    margin = f", where fp32 led by {max(row['flip_margin'] for row in run):.0e}" if flips[0] else ""
    yield (
        "fp16 changes no label on the Javanese corpus",
        f"{flips[0]} of {sum(row['clips'] for row in run)} as ONNX Runtime's CPU runs it{margin}; {flips[1]} with "
        "every tensor rounded",
        not any(flips),
    )
    quantised = rows("int8", "run")
    share = max(row["flips"] / row["clips"] for row in quantised)
    loss = max(row["fp32"]["macro_f1"] - row["variant"]["macro_f1"] for row in quantised)
    taken = [name for name, speed in record["int8"].items() if speed["reason"] is None]
    yield (
        "int8 changes under 2 % of the labels and costs under one point of macro F1",
        f"{share:.1%}, {100 * loss:.1f} points; taken by `--precision auto`: {', '.join(taken) or 'no graph'}",
        share < 0.02 and loss < 0.01,
    )


def _range(values: Iterable[float]) -> str:
    low, high = min(found := list(values)), max(found)
    return f"{low:.2f}" if f"{low:.2f}" == f"{high:.2f}" else f"{low:.2f} to {high:.2f}"


JUDGES: dict[str, Callable[[Record], Iterator[Outcome]]] = {
    "one_core": _one_core,
    "startup": _startup,
    "clip_cpu": _clip,
    "graphs_cpu": _graphs,
    "precision_drift": _drift,
}

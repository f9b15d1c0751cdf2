"""What was aimed at and what was reached, from `benchmarks/results`; for what was missed, what bounds it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks.clip_table import BEST_PARTS, INT8, OURS
from benchmarks.graphs_table import OPENVINO_FIXED, PEERS, best_batches, best_peer, least_time
from benchmarks.studies import boxes, threads

Record = dict[str, Any]
Records = Mapping[str, Record]


@dataclass(frozen=True)
class Outcome:
    """How far a goal was reached.

    Attributes:
        goal: What was aimed at.
        reached: The figures.
        met: Whether they are within the goal.
        bound: What was tried beyond that and what bounds it; empty if nobody has looked into it.
    """

    goal: str
    reached: str
    met: bool
    bound: str = ""


def section(records: Records) -> str:
    """Write the section.

    Args:
        records: Results by the name of their benchmark.
    """
    outcomes = [
        outcome
        for names, judge in GOALS
        if all(name in records for name in names)
        for outcome in judge(*(records[name] for name in names))
    ]
    missed = [outcome for outcome in outcomes if not outcome.met]
    lines = [
        "## Goals",
        "",
        "Set before anything was measured; every figure comes from the sections below.",
        "",
        "| goal | reached | |",
        "|---|---|---|",
        *(f"| {outcome.goal} | {outcome.reached} | {'met' if outcome.met else '**missed**'} |" for outcome in outcomes),
    ]
    if "gpu" not in records:
        lines.append(
            "| on a GPU: half of torch.compile's latency, 3 x the roofline | no GPU was at hand | not measured |"
        )
    lines += ["", "What bounds those that were missed, and what was tried:", ""] if missed else []
    lines += [f"- **{outcome.goal}.** {outcome.bound or 'Not looked into.'}" for outcome in missed]
    return "\n".join(lines) + "\n"


def _graphs(record: Record) -> Iterable[Outcome]:
    single = [case for case in record["cases"] if case["batch"] == 1]
    ratios = [case["advantage"][best_peer(case)]["of_medians"] for case in single]
    shares = [least_time(case, record) / case["time_s"][OURS]["median"] for case in single]
    fixed = [case["time_s"]["onnxruntime fixed"]["median"] / case["time_s"][OURS]["median"] for case in single]
    free = [case["advantage"]["openvino"]["of_medians"] for case in single]
    forms = ", ".join(f"{rate / 1e9:.0f} as `{form}`" for form, rate in record["form_rates"].items())
    first = sum(best_peer(case) == OPENVINO_FIXED for case in single)
    yield Outcome(
        "Each graph at least as fast as the best of its peers, batch 1",
        f"{_range(ratios)} x, median {median(ratios):.2f}",
        min(ratios) >= 1,
        f"In {first} of {len(single)} cases the best peer is OpenVINO compiled anew for that very length; with lengths "
        f"left free, as a clip needs it, OpenVINO takes {_range(free)} x our time (median {median(free):.2f}). ONNX "
        f"Runtime opened anew for each length takes {_range(fixed)} x our time (median {median(fixed):.2f}), so little "
        "of the difference lies there; nor does it lie in the form of the products, of which ONNX Runtime does, in 10⁹ "
        f"operations a second, {forms}. Our graphs take between {1 / max(shares):.1f} and {1 / min(shares):.1f} times "
        "the least time that arithmetic and memory allow (table below), the small graphs of the light bundle most: "
        "small products do not reach the rate of large ones, and a part of each graph is none. What OpenVINO does "
        "better are its kernels, which ONNX Runtime's CPU does not have.",
    )
    best = [min(times[side][0] for side in PEERS) / times[OURS][0] for _, times in best_batches(record["cases"])]
    yield Outcome(
        "The same, each side at its best batch",
        f"{_range(best)} x, median {median(best):.2f}",
        min(best) >= 1,
        "As above; in a batch the products are larger and all sides come nearer to each other.",
    )


def _int8(record: Record) -> Iterable[Outcome]:
    encoders = [case for case in record["cases"] if case["graph"].endswith("_encoder") and case["batch"] == 1]
    lowered = [case for case in encoders if "int8" in case["lowered"]]
    names = sorted({f"{case['preset']} {case['graph']}" for case in lowered})
    gains = [1 / case["advantage"][f"{OURS} int8"]["of_medians"] for case in lowered]
    exported = {f"{case['preset']} {case['graph']}" for case in encoders}
    reasons = {name: reason for name, reason in record["stays_float32"].items() if name in exported}
    yield Outcome(
        "int8 at least 1.6 x as fast as float32 on the encoders, within the drift limits",
        (f"{_range(gains)} x for the {', '.join(names)}" if gains else "none")
        + "".join(f"; float32 for the {name}" for name in reasons),
        bool(gains) and min(gains) >= 1.6 and not reasons,
        "Where a graph drifts too far or gains too little, its export keeps float32 and says so. "
        + "".join(f"The {name} {reason}. " for name, reason in reasons.items())
        + "Convolutions gain; the activations and gates between them are slower as int8 operators.",
    )


def _clip(record: Record) -> Iterable[Outcome]:
    seconds, whole, gains = record["seconds"], record["whole"], record["advantage"]
    faces = seconds[OURS]["face_encoder"] / sum(seconds[OURS].values())
    theirs = seconds[BEST_PARTS]["face_encoder"] / seconds[OURS]["face_encoder"]
    titles = {OURS: "float32", INT8: "`--precision auto` against float32"}
    sides = [side for side in (OURS, INT8) if side in gains]
    for peer, goal, wanted in (
        ("pytorch", "A whole clip at least 4 x as fast as the eager PyTorch pipeline", 4.0),
        (BEST_PARTS, "A whole clip at least 1.5 x as fast as the best peer made of the same parts", 1.5),
    ):
        for side in sides:
            ratio = gains[side][peer]
            yield Outcome(
                f"{goal}, {titles[side]}",
                f"{ratio['of_medians']:.2f} x ({ratio['least']:.2f} to {ratio['largest']:.2f} in a round)",
                ratio["of_medians"] >= wanted,
                f"The face encoder is {faces:.0%} of the clip in float32, and the best part of a peer takes "
                f"{theirs:.2f} x our time for it: what is left to gain lies in its arithmetic (see the graphs).",
            )
    shares = {side: (seconds[side]["detect"] + seconds[side]["crop"]) / whole[side]["least"] for side in sides}
    lowered = f"; {shares[INT8]:.1%} with `--precision auto`" if INT8 in shares else ""
    yield Outcome(
        "Detection and cropping below 15 % of a clip",
        f"{shares[OURS]:.1%} in float32{lowered}",
        max(shares.values()) < 0.15,
        "Done: frames of a bounded size, every fifth frame, only sizes near the face that is followed, crops of all "
        "candidates at once, suppression in array operations, decoding in a thread beside it. What is left are the "
        "three nets on few and small images, and summed-area tables and resampling in NumPy. Detecting in the "
        "decoder's thread was no faster, both cores are busy. Where int8 makes the rest faster the share grows.",
    )


def _boxes(record: Record) -> Iterable[Outcome]:
    share = {name: boxes.within(boxes.merged(record, name)) for name in ("every 5", "shifted", "frame before")}
    yield Outcome(
        "Boxes within two pixels of detection on every frame",
        f"{share['every 5']:.0%} of them",
        share["every 5"] == 1,
        "The detector does not repeat itself that well: one pixel cut off the frame's edge leaves "
        f"{share['shifted']:.0%} of its boxes within two pixels, and the box of the frame before lies so near in "
        f"{share['frame before']:.0%}. R-Net and O-Net on the interpolated box, and detection around it alone, came "
        "less near.",
    )


def _one_core(record: Record) -> Iterable[Outcome]:
    films = record["films"]
    factors = [film["took_s"] / film["seconds"] for film in films.values()]
    peaks = {title: film["peak_mb"] for title, film in films.items()}
    longest = max(films, key=lambda title: films[title]["seconds"])
    hours, minute = peaks[longest], peaks["a minute"]
    large = max(peaks, key=lambda title: peaks[title])
    yield Outcome(
        "The light bundle faster than real time on one core, everything included",
        f"{_range(factors)} s for a second of film",
        max(factors) < 1,
    )
    yield Outcome(
        "Its resident memory below 300 MB",
        f"{min(peaks.values()):.0f} to {max(peaks.values()):.0f} MB, the most at {large}",
        max(peaks.values()) < 300,
        "Frames of that size are the difference: the decoder's own, those that wait for the next detection, and those "
        "decoded ahead, which are bounded in bytes.",
    )
    yield Outcome(
        "Memory of an hour-long film equal to that of a minute",
        f"{hours:.0f} MB against {minute:.0f}",
        hours <= 1.05 * minute,
        f"Of that, FFmpeg's own index of the film is {films[longest]['index_mb']:.0f} MB: an MP4 lists every packet, "
        "and each modality reads through a container of its own.",
    )


def _startup(record: Record) -> Iterable[Outcome]:
    ratio, seconds = record["ratio"]["median"], record["median"]
    floor = 1 + seconds["libraries"] / seconds["inference"]
    yield Outcome(
        "`vavl-run` on a 3 s clip below 1.5 x the time of its own inference, light bundle",
        f"{ratio:.2f} x",
        ratio < 1.5,
        "A process that does nothing around the same inference but import NumPy, ONNX Runtime, PyAV, pydantic and "
        f"typer would stand at {floor:.2f} x. Imports that a run does not need are left to when they are needed. "
        "Decoding ahead has made the inference shorter, which makes this ratio worse.",
    )


def _threads(record: Record) -> Iterable[Outcome]:
    ratios = [threads.slower_than_best(turns, record["default"]) for turns in record["seconds"].values()]
    yield Outcome(
        "The default number of threads no slower than the best by more than 10 %",
        f"{_range(ratios)} x",
        max(ratios) <= 1.1,
    )


def _drift(record: Record) -> Iterable[Outcome]:
    def rows(precision: str, how: str) -> list[Record]:
        return [row for row in record["drift"] if (row["precision"], row["how"]) == (precision, how)]

    half = {how: rows("fp16", how) for how in ("run", "emulated")}
    flips = {how: sum(row["flips"] for row in found) for how, found in half.items()}
    clips = sum(row["clips"] for row in half["run"])
    margin = max(row["flip_margin"] for row in half["run"])
    yield Outcome(
        "fp16 flips no label on the Javanese corpus",
        f"{flips['run']} of {clips} as ONNX Runtime's CPU runs it, {flips['emulated']} with every tensor rounded",
        not any(flips.values()),
        f"In float32 the two labels lay {margin:.0e} apart: a tie, which any other order of summation may turn.",
    )
    quantised = rows("int8", "run")
    share = max(row["flips"] / row["clips"] for row in quantised)
    loss = max(row["fp32"]["macro_f1"] - row["variant"]["macro_f1"] for row in quantised)
    taken = [name for name, speed in record["int8"].items() if speed["reason"] is None]
    yield Outcome(
        "int8 flips under 2 % of the labels and costs under one point of macro F1",
        f"{share:.1%}, {100 * loss:.1f} points"
        + ("" if taken else " (of the packaged bundle the paths alone are int8)"),
        share < 0.02 and loss < 0.01,
    )


def _range(values: Iterable[float]) -> str:
    low, high = min(found := list(values)), max(found)
    return f"{low:.2f}" if f"{low:.2f}" == f"{high:.2f}" else f"{low:.2f} to {high:.2f}"


GOALS: tuple[tuple[tuple[str, ...], Callable[..., Iterable[Outcome]]], ...] = (
    (("graphs_cpu",), _graphs),
    (("graphs_cpu",), _int8),
    (("clip_cpu",), _clip),
    (("boxes",), _boxes),
    (("one_core",), _one_core),
    (("startup",), _startup),
    (("threads",), _threads),
    (("precision_drift",), _drift),
)

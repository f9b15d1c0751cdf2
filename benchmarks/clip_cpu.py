"""The whole audio-visual run of one clip on the CPU: this runtime against what one would build otherwise, in one run.

    python -m benchmarks.clip_cpu CLIP [--repeats 5] [--calibration CLIPS] [-o benchmarks/results/clip_cpu.json]

All sides have the paper's sizes and the same random weights (wav2vec2-large, 12 layers; EfficientNet-B2; VAVL 512), the
same number of threads, the same frames and the same crop function:

    pytorch                facenet-pytorch, timm and transformers as one writes them down, every frame detected, eager
    torch.compile          the same, all networks compiled
    parts, onnxruntime     faces on every fifth frame, interpolated as the runtime does it; the bundle's graphs in ONNX
    parts, openvino        Runtime with default options, or in OpenVINO (float32)
    best parts             of the last two the faster one, stage by stage and round by round
    vavl_runtime           this runtime, and again with a detection on every frame
    vavl_runtime, int8     this runtime with int8 graphs where its export found them worth their drift, which is what
                           `--precision auto` takes; needs clips to calibrate on, or a bundle with int8 graphs

Rounds alternate. Also measured: peak memory of a process that runs this runtime alone, with these weights and with the
packaged bundle. Needs the extras `export` and `bench`.
"""

import contextlib
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.bundles import export_preset
from benchmarks.clip_table import BEST_PARTS, EVERY_FRAME, INT8, OURS
from benchmarks.engines import Run, open_default, open_openvino, open_torch
from benchmarks.modules import torch_modules
from benchmarks.pipelines import STAGES, PeerPipeline
from benchmarks.record import benchmark_parser, new_record, write_record
from vavl_bench.plan import MeasurementSpec
from vavl_bench.runner import measure_apart
from vavl_bench.steady_state import WindowSettings
from vavl_bench.turns import advantage, least_and_median
from vavl_runtime import Recognizer
from vavl_runtime.bundle import PACKAGED_BUNDLE, Bundle, open_bundle
from vavl_runtime.bundle.precision import VARIANT_GRAPHS, choose_precisions
from vavl_runtime.devices.cpu import usable_cores

GRAPHS = ("audio_encoder", "face_encoder", "audio_visual")
PARTS = ("parts, onnxruntime", "parts, openvino")
TORCH_FACES = 8  # crops at once: the fastest for eager PyTorch of 4, 8 and 16
Seconds = dict[str, float]
Side = Callable[[Path], tuple[Seconds, NDArray[np.float32]]]


def peer_sides(bundle: Bundle, threads: int) -> dict[str, Side]:
    """Build the pipelines that do without the runtime."""
    manifest, recipe = bundle.manifest, bundle.manifest.crop
    modules = torch_modules(manifest, "paper")

    def torch_runs(*, compiled: bool) -> dict[str, Run]:
        return {name: open_torch(modules[name], manifest.graphs[name], compiled=compiled) for name in GRAPHS}

    files = {name: bundle.graph_file(name) for name in GRAPHS}
    default = {name: open_default(file, threads) for name, file in files.items()}
    openvino = {name: open_openvino(file, threads) for name, file in files.items()}
    return {
        "pytorch": PeerPipeline(torch_runs(compiled=False), recipe, every=1, face_batch=TORCH_FACES),
        "torch.compile": PeerPipeline(
            torch_runs(compiled=True), recipe, every=1, face_batch=TORCH_FACES, compiled=True
        ),
        **{
            name: PeerPipeline(runs, recipe, every=recipe.detect_every, face_batch=TORCH_FACES)
            for name, runs in zip(PARTS, (default, openvino), strict=True)
        },
    }


def runtime_side(recognizer: Recognizer) -> Side:
    """The runtime, its stages named like those of the peers."""

    def run(clip: Path) -> tuple[Seconds, NDArray[np.float32]]:
        result = recognizer.predict(clip)
        timings = {stage: value / 1000 for stage, value in result.timings_ms.items()}
        seconds = {stage: timings.get(stage, 0.0) for stage in STAGES}
        seconds["decode"] = sum(timings[stage] for stage in ("open", "decode_audio", "resample", "convert", "wait"))
        seconds["alongside"] = timings["decode_video"]
        seconds["detect"] += timings["track"]
        return seconds, np.array(list(result.scores.values()), np.float32)

    return run


def best_parts(rounds: dict[str, list[Seconds]]) -> list[Seconds]:
    """Take the faster of the two engines for every stage of a round."""
    best = []
    for one, other in zip(*(rounds[name] for name in PARTS), strict=True):
        seconds = {stage: min(one[stage], other[stage]) for stage in STAGES}
        best.append({**seconds, "whole": sum(seconds.values())})
    return best


def summary(rounds: dict[str, list[Seconds]]) -> dict[str, Any]:
    """Least time of every stage, and the whole clip: its times, and how much faster this runtime is by side."""
    whole = {name: [each["whole"] for each in taken] for name, taken in rounds.items()}
    return {
        "seconds": {name: {s: min(each[s] for each in taken) for s in STAGES} for name, taken in rounds.items()},
        "whole": {name: least_and_median(times) for name, times in whole.items()},
        "advantage": {
            ours: {name: advantage(whole[ours], times) for name, times in whole.items() if name != ours}
            for ours in (OURS, INT8)
            if ours in whole
        },
    }


def take_rounds(sides: dict[str, Side], clip: Path, repeats: int) -> tuple[dict[str, list[Seconds]], dict[str, float]]:
    """Let the sides answer in rounds; the first one warms up.

    Returns:
        Seconds by stage and of the ``whole`` of each round, by side; and the largest difference of a probability from
        PyTorch's answer.
    """
    rounds: dict[str, list[Seconds]] = {name: [] for name in sides}
    answers: dict[str, NDArray[np.float32]] = {}
    for number in range(repeats + 1):
        for name in list(sides)[:: -1 if number % 2 else 1]:
            start = time.perf_counter()
            seconds, answers[name] = sides[name](clip)
            whole = time.perf_counter() - start
            print(f"{name}: {whole:.2f} s", file=sys.stderr)
            if number:
                rounds[name].append({**seconds, "whole": whole})
    expected = answers["pytorch"]
    return rounds, {name: float(np.abs(answer - expected).max()) for name, answer in answers.items()}


def peak_mb(bundle: Path, clip: Path, threads: int) -> float:
    """Peak memory of a process that predicts a clip a few times and does nothing else, MB."""
    spec = MeasurementSpec(
        bundle=bundle,
        scope="clip",
        subject="audio_visual",
        scenario="single-stream",
        device="cpu",
        backend="auto",
        precision="fp32",
        threads=threads,
        batch=1,
        seconds=None,
        clip=clip,
        bound_ms=1000.0,
        windows=WindowSettings(warm_up_s=0.0, warm_up_queries=0, window_s=0.0, windows=3, limit_s=0.1),
    )
    metrics = measure_apart(spec).metrics
    assert metrics is not None  # a failure raises
    return (metrics.memory.peak_mib.value or 0.0) * 2**20 / 1e6


def main() -> int:
    """Measure and write the record."""
    parser = benchmark_parser("clip_cpu", __doc__)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--bundle", type=Path, help="of `vavl-export onnx --preset paper`; exported first by default")
    parser.add_argument("--calibration", type=Path, help="folder of clips with speech and faces, for int8")
    parser.add_argument("--threads", type=int, default=usable_cores())
    arguments = parser.parse_args()
    clip, threads = arguments.clip, arguments.threads
    torch.set_num_threads(threads)
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        precisions = ("int8",) if arguments.calibration else ()
        place = arguments.bundle or export_preset("paper", Path(folder) / "paper", precisions, arguments.calibration)
        bundle = stack.enter_context(open_bundle(place))
        recognizer = stack.enter_context(Recognizer(place, device="cpu", threads=threads))
        every_frame = stack.enter_context(Recognizer(place, device="cpu", threads=threads, detect_every=1))
        sides = peer_sides(bundle, threads)
        sides |= {OURS: runtime_side(recognizer), EVERY_FRAME: runtime_side(every_frame)}
        if all("int8" in bundle.manifest.graphs[name].variants for name in VARIANT_GRAPHS):
            quantised = stack.enter_context(Recognizer(place, device="cpu", threads=threads, precision="auto"))
            sides[INT8] = runtime_side(quantised)
        rounds, differences = take_rounds(sides, clip, arguments.repeats)
        rounds[BEST_PARTS] = best_parts(rounds)
        result = recognizer.predict(clip)
        taken = choose_precisions(bundle.manifest, "auto")
        calibrated = " --calibration CLIPS" if INT8 in sides else ""
        command = f"python -m benchmarks.clip_cpu {clip.name} --repeats {arguments.repeats}{calibrated}"
        record = {
            **new_record("clip_cpu", command, threads),
            "clip": {"name": clip.name, "seconds": result.duration_s, "frames": result.faces.frames},
            **summary(rounds),
            "largest_prediction_difference": differences,
            "int8_graphs": [name for name, precision in taken.items() if precision == "int8"],
            "resident_mb": {
                "paper": {"peak": peak_mb(place, clip, threads)},
                "packaged": {"peak": peak_mb(PACKAGED_BUNDLE, clip, threads)},
            },
            "rounds": rounds,
        }
    write_record(record, arguments.output)
    print(arguments.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())

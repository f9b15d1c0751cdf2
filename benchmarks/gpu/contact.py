"""The first command: is everything there, and does every graph compute on the GPU what the CPU computes."""

import subprocess
import threading
from collections.abc import Mapping
from functools import partial
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from benchmarks.gpu.apart import Context, Results, describe
from benchmarks.gpu.plan import REHEARSED_SHARE, Point
from benchmarks.gpu.weights import fill_bundle, read_recipe
from benchmarks.record import Record
from vavl_bench.inputs import FPS, graph_inputs
from vavl_bench.turns import take_turns
from vavl_bench.workloads import ModelSubject
from vavl_runtime.backends.base import Arrays
from vavl_runtime.backends.choice import choose_backend
from vavl_runtime.backends.ort.cpu import OnnxRuntimeBackend
from vavl_runtime.bundle import PACKAGED_BUNDLE, Bundle, open_bundle
from vavl_runtime.bundle.golden import require_golden_cases
from vavl_runtime.bundle.manifest import Manifest, PathName
from vavl_runtime.bundle.precision import VARIANT_GRAPHS, PrecisionChoice
from vavl_runtime.pipeline.graph_runner import GraphRunner
from vavl_runtime.timing import StageTimer

# Largest relative L2 error against fp32 on the CPU. Random weights amplify rounding more than trained ones.
LIMITS = {"fp32": 2e-4, "fp16": 2e-2}
SHAPES = ((1, 1.0), (1, 3.0), (2, 2.2))  # clips and seconds: three, which come back in turns
TURNS = 4  # plain, captured, replayed, and replayed with other inputs
ROUNDS, TURN_S = 3, 0.3


class KeepingRunner(GraphRunner):
    """Runs graphs and keeps the outputs of the last one, which the workloads of `vavl_bench` drop."""

    last: Mapping[str, NDArray[Any]]

    def run(self, name: str, inputs: Arrays, timer: StageTimer) -> dict[str, NDArray[Any]]:
        """Run a graph; see `GraphRunner.run`."""
        outputs = super().run(name, inputs, timer)
        self.last = {name: value.copy() for name, value in outputs.items()}
        return outputs


def open_runner(context: Context, bundle: Bundle, precision: str) -> KeepingRunner:
    """ONNX Runtime on the device as users get it, with what the CUDA provider needs loaded before it."""
    if context.device != "cpu":
        import torch

        torch.cuda.init()  # its CUDA and cuDNN are what ONNX Runtime finds on a host without their pip packages
    choice = cast(PrecisionChoice, precision)
    backend = choose_backend(context.device, "onnxruntime", None, bundle, precision=choice).backend
    return KeepingRunner(bundle, backend, choice)


def prepare(context: Context, _: str) -> Results:
    """Fill the bundle with weights, and compute the answers of the CPU that every side is compared with."""
    manifest = context.bundle / "manifest.json"
    structure = context.structures / "manifest.json"
    if not manifest.is_file() or manifest.read_bytes() != structure.read_bytes():
        fill_bundle(context.structures, context.bundle)
    with open_bundle(context.bundle) as bundle:
        yield "bundle", {"sha256": bundle.sha256, "precisions": sorted(bundle.manifest.graphs["audio"].variants)}
        yield "work", read_recipe(context.structures)["work"]
        runner = KeepingRunner(bundle, OnnxRuntimeBackend())
        for point in context.headlines:
            subject = ModelSubject(runner, cast(PathName, point.subject), point.batch, point.seconds)
            subject.query()
            np.savez(reference_file(context, point), **runner.last)  # type: ignore[arg-type]
        runner.close()


def reference_file(context: Context, point: Point) -> Any:
    """Where the CPU's answer at a headline is kept."""
    return context.work / f"reference-{context.preset}-{point.subject}.npz"


def compare_with_reference(context: Context, point: Point, outputs: Mapping[str, NDArray[Any]], precision: str) -> None:
    """Refuse an answer at a headline that is not the CPU's.

    Raises:
        ValueError: It differs by more than `LIMITS` allows.
    """
    with np.load(reference_file(context, point)) as expected:
        error = worst_error(outputs, expected)
    if not error <= LIMITS[precision]:
        raise ValueError(
            f"{point}: relative L2 error {error:.1e} against ONNX Runtime's CPU in fp32, at most {LIMITS[precision]:g}"
        )


def worst_error(outputs: Mapping[str, NDArray[Any]], expected: Mapping[str, NDArray[Any]]) -> float:
    """Largest relative L2 error of an output; infinite if it is missing, of another shape or not finite."""
    worst = 0.0
    for name, value in expected.items():
        got = outputs.get(name)
        if got is None or got.shape != value.shape or not np.isfinite(got).all():
            return float("inf")
        reference = value.astype(np.float64)
        norm = max(float(np.linalg.norm(reference)), 1e-12)
        worst = max(worst, float(np.linalg.norm(got.astype(np.float64) - reference)) / norm)
    return worst


def describe_machine(context: Context, _: str) -> Results:
    """The GPU in its driver's words, and what it reaches: a large copy and a large product."""
    query = "--query-gpu=name,driver_version,memory.total,power.limit,clocks.max.sm,clocks.max.memory"
    try:
        done = subprocess.run(["nvidia-smi", query, "--format=csv"], capture_output=True, encoding="utf-8", timeout=30)
        yield "nvidia-smi", {"text": (done.stdout or done.stderr).strip()}
    except (OSError, subprocess.TimeoutExpired) as error:
        yield "nvidia-smi", {"error": describe(error)}
    import torch

    gpu = context.device != "cpu"
    numbers, side = (1 << 29, 8192) if gpu else (1 << 20, 128)
    source = torch.randn(numbers, device=context.device)
    target = torch.empty_like(source)
    left, right = torch.randn(2, side, side, device=context.device).to(torch.float16 if gpu else torch.float32)
    product = torch.empty_like(left)

    def finished(result: torch.Tensor) -> None:
        if gpu:
            torch.cuda.synchronize(result.device)

    sides = {
        "copy": lambda: finished(target.copy_(source)),
        "product": lambda: finished(torch.mm(left, right, out=product)),
    }
    turns = take_turns(sides, ROUNDS, TURN_S if gpu else 0.0)
    versions = {"torch": torch.__version__, "cuda": torch.version.cuda, "cudnn": torch.backends.cudnn.version()}
    yield "versions", versions
    yield (
        "ceilings",
        {
            "copy_bytes_per_s": 2 * source.nbytes / min(turns["copy"]),
            "product_operations_per_s": 2 * side**3 / min(turns["product"]),
        },
    )


def probe_convolution(context: Context, _: str) -> Results:
    """Run one graph of convolutions: without cuDNN, or without kernels for this GPU, nothing else need be tried."""
    with open_bundle(PACKAGED_BUNDLE) as bundle:
        runner = open_runner(context, bundle, "fp32")
        (inputs, _expected), *_others = require_golden_cases(bundle, "onet")
        outputs = runner.run("onet", inputs, StageTimer())
        yield "onet", {"backend": str(runner.backend.info), "values": float(outputs["probability"].sum())}
        runner.close()


def check_packaged(context: Context, precision: str) -> Results:
    """Every graph of the bundle in the package, whose weights are trained, against the CPU."""
    with open_bundle(PACKAGED_BUNDLE) as bundle:
        yield from _check_graphs(context, bundle, precision)


def check_filled(context: Context, precision: str) -> Results:
    """Every graph of the filled bundle against the CPU in fp32."""
    with open_bundle(context.bundle) as bundle:
        yield from _check_graphs(context, bundle, precision)


def _check_graphs(context: Context, bundle: Bundle, precision: str) -> Results:
    runner = open_runner(context, bundle, precision)
    for name in bundle.manifest.graphs if precision == "fp32" else VARIANT_GRAPHS:
        try:
            yield name, _check(runner, name, LIMITS[precision], REHEARSED_SHARE if context.rehearsal else 1)
        except Exception as error:  # the next graph may be right
            yield name, {"error": describe(error)}
    yield "backend", {"text": str(runner.backend.info)}
    runner.close()


def _check(runner: KeepingRunner, name: str, limit: float, share: int) -> Record:
    """Run a graph at shapes that come back, with other inputs in the last turn, and from a second thread."""
    cpu = GraphRunner(runner.bundle, OnnxRuntimeBackend())
    cases = []
    for batch, seconds in SHAPES:
        inputs = inputs_of(name, runner.bundle.manifest, batch, seconds / share)
        cases.append([(given, cpu.run(name, given, StageTimer())) for given in (inputs, _turned(inputs))])
    cpu.close()
    worst = 0.0
    for turn in range(TURNS):
        for first, other in cases:
            inputs, expected = other if turn == TURNS - 1 else first
            worst = max(worst, worst_error(runner.run(name, inputs, StageTimer()), expected))
    elsewhere: list[float] = []

    def run_again() -> None:
        for (inputs, expected), _ in cases:
            elsewhere.append(worst_error(runner.run(name, inputs, StageTimer()), expected))

    thread = threading.Thread(target=run_again)
    thread.start()
    thread.join()
    if len(elsewhere) < len(cases):
        return {"error": "fails in a second thread; see the output", "worst": worst}
    result: Record = {"worst": worst, "second_thread": max(elsewhere), "limit": limit}
    if not max(worst, *elsewhere) <= limit:
        result["error"] = f"relative L2 error {max(worst, *elsewhere):.1e} against the CPU, at most {limit:g}"
    return result


def inputs_of(name: str, manifest: Manifest, batch: int, seconds: float) -> dict[str, NDArray[Any]]:
    """Inputs of any graph of a bundle.

    Args:
        name: The graph; a fused one takes one clip whatever the batch.
        manifest: Of the bundle.
        batch: Clips, pictures or boxes.
        seconds: Length of a clip, which also is its number of faces.
    """
    make = partial(graph_inputs, seconds=seconds)
    graphs, faces = manifest.graphs, round(seconds * FPS)
    if not name.endswith("_fused"):
        return make(name, graphs[name], batch * faces if name == "face_encoder" else batch)
    wanted = {tensor.name for tensor in graphs[name].inputs}
    sound = make("audio_encoder", graphs["audio_encoder"], 1) if "waveform" in wanted else {}
    return sound | (make("face_encoder", graphs["face_encoder"], faces) if "faces" in wanted else {})


def _turned(inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Other inputs of the same shapes: backwards in time, or upside down."""
    return {name: np.ascontiguousarray(value[:, ::-1]) if value.ndim > 1 else value for name, value in inputs.items()}


def why_not_timed(found: Record, precision: str, point: Point) -> str | None:
    """Why a point may not be timed: one of its graphs failed its check; None if none did."""
    checked = found.get(f"parity {precision}", {}).get("results", {})
    for name in point.graphs:
        if name not in checked:
            return f"{name} was not compared with the CPU"
        if "error" in checked[name]:
            return f"{name}: {checked[name]['error']}"
    return None

"""Measures points: the runtime's sides, whole clips, and the options of ONNX Runtime's CUDA provider."""

import contextlib
import importlib.util
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

from benchmarks.gpu.apart import Context, Results, describe
from benchmarks.gpu.contact import KeepingRunner, compare_with_reference, open_runner, why_not_timed
from benchmarks.gpu.plan import Point
from benchmarks.record import Record
from vavl_bench.clock import SystemClock
from vavl_bench.energy import EnergyMeter, open_energy_counter
from vavl_bench.memory import MemoryProbe
from vavl_bench.statistics import summarise
from vavl_bench.steady_state import measure_windows
from vavl_bench.workloads import ClipSubject, GraphSubject, ModelSubject
from vavl_runtime.backends.ort.gpu import OnnxRuntimeGpuBackend
from vavl_runtime.backends.ort.providers import ConvSearch
from vavl_runtime.bundle import open_bundle
from vavl_runtime.bundle.manifest import PathName
from vavl_runtime.bundle.precision import PrecisionChoice
from vavl_runtime.devices.cpu import usable_cores
from vavl_runtime.devices.gpu import parse_device, probe_driver, require_gpu
from vavl_runtime.recognizer import Recognizer

CLIP = Path("examples/astronaut.mp4")
CLIPS_PER_CORE = 6
SEARCHES: tuple[ConvSearch, ...] = ("HEURISTIC", "EXHAUSTIVE")


class Queried(Protocol):
    """What is measured."""

    def load(self) -> None:
        """Make ready."""

    def query(self) -> None:
        """Do the work once, from host memory to host memory."""


@dataclass(frozen=True)
class Meters:
    """What counts from before the process touched the GPU: energy above idle, and memory."""

    energy: EnergyMeter
    memory: MemoryProbe


@contextlib.contextmanager
def idle_meters(context: Context) -> Iterator[Meters]:
    """Measure the idle GPU; use it before anything else is opened.

    Args:
        context: Which device.

    Yields:
        The meters.
    """
    gpu = parse_device(context.device).index if context.device != "cpu" else None
    with open_energy_counter(gpu) as counter:
        energy = EnergyMeter(counter, SystemClock())
        energy.observe_idle()
        yield Meters(energy, MemoryProbe(gpu))


def measure_points(
    context: Context,
    meters: Meters,
    points: Sequence[Point],
    open_point: Callable[[Point], Queried],
    check: Callable[[Point], object],
) -> Results:
    """Measure points in this process: latency, energy above idle, memory, and launches at the headlines.

    Args:
        context: Device and windows.
        meters: Of `idle_meters`.
        points: In this order.
        open_point: Makes the subject of a point.
        check: Called after a first query of the point; an error means that it is not timed.

    Yields:
        The figures of each point, or its error.
    """
    for point in points:
        try:
            yield str(point), _measure_point(context, meters, point, open_point(point), check)
        except Exception as error:  # out of memory at a large batch must not cost the other points
            yield str(point), {"error": describe(error)}


def _measure_point(
    context: Context, meters: Meters, point: Point, subject: Queried, check: Callable[[Point], object]
) -> Record:
    start = time.perf_counter()
    subject.load()
    subject.query()
    first_s = time.perf_counter() - start
    check(point)
    queries = _Counted(subject.query)
    meters.energy.start()
    windows = measure_windows(queries, SystemClock(), context.windows)
    energy = meters.energy.stop(queries.count * point.batch)
    latency = summarise(windows.latencies_s)
    return {
        "first_ms": 1000 * first_s,
        "latency": latency.model_dump(),
        "clips_per_s": point.batch * latency.count / windows.seconds,
        "steady": windows.steady,
        "energy": energy.model_dump(),
        "memory": meters.memory.read().model_dump(),
        "launches": count_launches(subject.query, context.device) if point in context.headlines else None,
    }


class _Counted:
    """Counts calls: energy is that of warm-ups and settling, too."""

    def __init__(self, query: Callable[[], object]) -> None:
        self._query, self.count = query, 0

    def __call__(self) -> None:
        self._query()
        self.count += 1


def count_launches(query: Callable[[], object], device: str) -> Record:
    """Count kernels of one query with PyTorch's profiler, which sees those of every library in the process."""
    if device == "cpu":
        return {"reason": "no GPU in use"}
    import torch
    from torch.autograd import DeviceType
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CUDA]) as profiler:
        query()
        torch.cuda.synchronize()
    names = [event.name for event in profiler.events() if event.device_type == DeviceType.CUDA]
    if not names:
        return {"reason": "the profiler saw nothing; CUPTI is missing or in use"}
    copies = sum(name.startswith(("Memcpy", "Memset")) for name in names)
    return {"kernels": len(names) - copies, "copies": copies}


def open_subject(runner: KeepingRunner, point: Point) -> GraphSubject | ModelSubject:
    """The workload of `vavl_bench` for a point."""
    if point.scope == "graph":
        return GraphSubject(runner, point.subject, point.batch, point.seconds)
    return ModelSubject(runner, cast(PathName, point.subject), point.batch, point.seconds)


def _measure(
    context: Context, meters: Meters, runner: KeepingRunner, points: Sequence[Point], precision: str
) -> Results:
    def check(point: Point) -> None:
        if reason := why_not_timed(context.found, precision, point):
            raise ValueError(f"not timed: {reason}")
        if point in context.headlines:
            compare_with_reference(context, point, runner.last, precision)

    yield from measure_points(context, meters, points, lambda point: open_subject(runner, point), check)
    yield "backend", {"text": str(runner.backend.info)}
    runner.close()


def measure_runtime(context: Context, side: str) -> Results:
    """Measure a backend of the runtime as users get it; the variant of a graph is the runtime's own choice.

    Args:
        context: What to run it on.
        side: Backend and precision.
    """
    name, precision = side.split()
    if name != "tensorrt":
        with idle_meters(context) as meters, open_bundle(context.bundle) as bundle:
            runner = open_runner(context, bundle, precision)
            yield from _measure(context, meters, runner, context.points(side), precision)
        return
    if importlib.util.find_spec("tensorrt") is None:
        yield "backend", {"error": "TensorRT is not installed"}
        return
    from vavl_export import build_engines
    from vavl_runtime.backends.trt.backend import TensorRtBackend

    build_engines(context.bundle, precision=cast(PrecisionChoice, precision), progress=print)
    with idle_meters(context) as meters, open_bundle(context.bundle) as bundle:
        choice = cast(PrecisionChoice, precision)
        backend = TensorRtBackend(parse_device(context.device).index, bundle, choice)
        yield from _measure(context, meters, KeepingRunner(bundle, backend, choice), context.points(side), precision)


def compare_options(context: Context, precision: str) -> Results:
    """Measure the headlines with each layout and each search of convolutions: the runtime's defaults are to be these.

    Args:
        context: What to run it on.
        precision: Of the graphs.
    """
    for nhwc, search in itertools.product((False, True), SEARCHES):
        title = f"prefer_nhwc={nhwc}, conv_search={search}"
        if context.device == "cpu":
            yield title, {"reason": "no GPU in use"}
        else:
            gpu = require_gpu(parse_device(context.device).index, probe_driver())
            with idle_meters(context) as meters, open_bundle(context.bundle) as bundle:
                open_runner(context, bundle, precision).close()
                backend = OnnxRuntimeGpuBackend(gpu, prefer_nhwc=nhwc, conv_search=search)
                runner = KeepingRunner(bundle, backend, cast(PrecisionChoice, precision))
                for name, result in _measure(context, meters, runner, context.headlines, precision):
                    yield f"{title}: {name}", result


def measure_clips(context: Context, precision: str) -> Results:
    """Measure a file with a face and speech: one clip after the other, and many at once with decoding on all cores.

    Args:
        context: What to run it on.
        precision: Of the graphs.
    """
    with open_bundle(context.bundle) as bundle:
        open_runner(context, bundle, precision).close()  # loads what the CUDA provider needs
    choice = cast(PrecisionChoice, precision)
    with Recognizer(context.bundle, "onnxruntime", device=context.device, precision=choice) as recognizer:
        subject = ClipSubject(recognizer, CLIP, "audio_visual", 1)
        start = time.perf_counter()
        subject.query()
        first_s = time.perf_counter() - start
        windows = measure_windows(subject.query, SystemClock(), context.windows)
        yield (
            "one after the other",
            {"first_ms": 1000 * first_s, "latency": summarise(windows.latencies_s).model_dump()},
        )
        jobs = 2 if context.rehearsal else usable_cores()
        count = jobs * (2 if context.rehearsal else CLIPS_PER_CORE)
        start = time.perf_counter()
        results = list(recognizer.predict_many([CLIP] * count, jobs=jobs))
        seconds = time.perf_counter() - start
        yield (
            "many",
            {
                "clips": count,
                "jobs": jobs,
                "clips_per_s": count / seconds,
                "failed": sum(result.path != "audio_visual" for result in results),
                "backend": str(recognizer.backend),
            },
        )

"""Measures one subject: loading, first result, windows or trials, memory, energy, state of the machine."""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import cast

from vavl_bench.budget import mean_budget
from vavl_bench.clock import Clock, SystemClock
from vavl_bench.energy import EnergyMeter, open_energy_counter
from vavl_bench.memory import MemoryProbe
from vavl_bench.plan import MeasurementSpec
from vavl_bench.scenarios import ServerSettings, search_rate
from vavl_bench.schema import (
    Measurement,
    MeasurementKey,
    Media,
    Metrics,
    ServerOutcome,
    Stability,
    Throughput,
    WindowRecord,
)
from vavl_bench.statistics import summarise
from vavl_bench.steady_state import AGREEING, Window, measure_windows, spread
from vavl_bench.system_state import read_condition
from vavl_bench.workloads import ClipSubject, GraphSubject, ModelSubject, Subject
from vavl_runtime.backends.base import Backend
from vavl_runtime.backends.choice import Chosen, choose_backend
from vavl_runtime.bundle import open_bundle
from vavl_runtime.bundle.manifest import PathName
from vavl_runtime.bundle.precision import PrecisionChoice
from vavl_runtime.devices.gpu import parse_device
from vavl_runtime.errors import InputError
from vavl_runtime.pipeline.graph_runner import GraphRunner
from vavl_runtime.recognizer import Recognizer

SERVER_SHARES = (
    7  # parts of a measurement's time: queries without a queue, and the six trials that 2 % of the rate takes
)


def measure_one(spec: MeasurementSpec, clock: Clock | None = None, backend: Backend | None = None) -> Measurement:
    """Measure one combination of a bundle in this process.

    Args:
        spec: What to measure.
        clock: Where time is read; the machine's clock by default.
        backend: A ready-made backend; by default the one that the specification names.

    Returns:
        The measurement with its figures.

    Raises:
        VavlError: The bundle, the device, the precision or the input is at fault.
    """
    return measure_subject(spec, lambda stack: _make_subject(spec, _open(spec, backend, stack)), clock or SystemClock())


def measure_subject(
    spec: MeasurementSpec, open_subject: Callable[[contextlib.ExitStack], Subject], clock: Clock
) -> Measurement:
    """Measure anything that can be queried.

    Args:
        spec: What to measure: scenario, batch and windows are obeyed, the rest becomes the measurement's key.
        open_subject: Opens the subject; what it puts on the stack is closed at the end.
        clock: Where time is read.

    Returns:
        The measurement with its figures.
    """
    gpu = _gpu_index(spec.device)
    with contextlib.ExitStack() as stack:
        meter = EnergyMeter(stack.enter_context(open_energy_counter(gpu)), clock)
        meter.observe_idle()
        memory = MemoryProbe(gpu)
        start = clock.now()
        subject = open_subject(stack)
        opened_s = clock.now() - start
        start = clock.now()
        subject.load()
        load_s = opened_s + clock.now() - start
        subject.query()
        first_result_s = opened_s + clock.now() - start
        subject.budgets.clear()
        before = read_condition(gpu)
        meter.start()
        queries = 0

        def query() -> None:
            nonlocal queries
            subject.query()
            queries += 1

        counted, stability, server = _play(spec, query, clock)
        energy = meter.stop(queries * spec.batch)
        latencies = [latency for window in counted for latency in window.latencies_s]
        seconds = sum(window.seconds for window in counted)
        budgets = subject.budgets[-len(latencies) * spec.batch :]  # windows that count come last
        key = spec.planned_key().model_copy(update={"backend": subject.backend, "media": subject.media})
        return Measurement(
            key=MeasurementKey.model_validate(key.model_dump()),
            metrics=Metrics(
                load_ms=1000 * load_s,
                first_result_ms=1000 * first_result_s,
                latency=summarise(latencies),
                throughput=_throughput(len(latencies) * spec.batch / seconds, subject.media),
                stability=stability,
                windows=tuple(
                    WindowRecord(
                        seconds=window.seconds,
                        latencies_ms=tuple(round(1000 * latency, 4) for latency in window.latencies_s),
                    )
                    for window in counted
                ),
                server=server,
                budget=mean_budget(budgets) if budgets else None,
                memory=memory.read(),
                energy=energy,
                before=before,
                after=read_condition(gpu),
            ),
        )


def _gpu_index(device: str) -> int | None:
    parsed = parse_device(device)
    if parsed.kind == "auto":
        raise InputError(
            "device: got auto, which is not allowed in benchmarks; name cpu or cuda:N so that results are comparable"
        )
    return parsed.index if parsed.kind == "cuda" else None


def _open(spec: MeasurementSpec, backend: Backend | None, stack: contextlib.ExitStack) -> GraphRunner | Recognizer:
    """Open the bundle and the backend."""
    bundle = stack.enter_context(open_bundle(spec.bundle))
    precision = cast(PrecisionChoice, spec.precision)  # checked by what receives it
    if backend is None:
        chosen = choose_backend(spec.device, spec.backend, spec.threads, bundle, precision=precision)
    else:
        chosen = Chosen(backend, skipped_backends=())
    if spec.scope == "clip":
        return stack.enter_context(Recognizer(bundle, chosen.backend, precision=precision))
    graphs = GraphRunner(bundle, chosen.backend, precision)
    stack.callback(graphs.close)
    return graphs


def _make_subject(spec: MeasurementSpec, opened: GraphRunner | Recognizer) -> Subject:
    path = cast(PathName, spec.subject)
    if isinstance(opened, Recognizer):
        if spec.clip is None:
            raise InputError("scope clip: got no media file to measure")
        return ClipSubject(opened, spec.clip, path, spec.batch)
    if spec.scope == "graph":
        return GraphSubject(opened, spec.subject, spec.batch, spec.seconds or 1.0)
    if spec.seconds is None:
        raise InputError("scope model: got no length of the media")
    return ModelSubject(opened, path, spec.batch, spec.seconds)


def _play(
    spec: MeasurementSpec, query: Callable[[], None], clock: Clock
) -> tuple[Sequence[Window], Stability, ServerOutcome | None]:
    """Run the scenario; returns the windows that count, their stability, and the server's outcome."""
    settings = spec.windows
    if spec.scenario != "server":
        windows = measure_windows(query, clock, settings)
        verdict = Stability(
            verdict="steady" if windows.steady else "unstable",
            tolerance=settings.tolerance,
            spread=windows.spread,
            settling_windows=len(windows.settling),
        )
        return windows.counted, verdict, None
    start = clock.now()
    alone = measure_windows(query, clock, replace(settings, windows=AGREEING, limit_s=settings.limit_s / SERVER_SHARES))
    service_s = alone.seconds / len(alone.latencies_s)
    served = ServerSettings(
        bound_s=spec.bound_ms / 1000,
        trial_s=settings.limit_s / SERVER_SHARES,
        limit_s=settings.limit_s - (clock.now() - start),
    )
    outcome, window = search_rate(query, clock, service_s, served)
    verdict = Stability(
        verdict="open_loop",
        tolerance=settings.tolerance,
        spread=spread([w.median_s for w in alone.counted]),
        settling_windows=len(alone.settling),
    )
    return [window], verdict, outcome


def _throughput(clips_per_s: float, media: Media) -> Throughput:
    return Throughput(
        clips_per_s=clips_per_s,
        frames_per_s=clips_per_s * media.frames if media.frames else None,
        real_time_factor=1 / (clips_per_s * media.seconds) if media.seconds else None,
    )

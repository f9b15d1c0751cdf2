"""The sentences around the figures: the machine, what was not measured and why, and what not to trust."""

from collections.abc import Iterator

from vavl_bench.schema import Measurement, Quantity, Report

SCOPES = {
    "graph": "one graph, tensors in host memory in and out",
    "model": "waveform and face crops in, prediction out",
    "clip": "media file in, result out",
}
WIDE = 0.05  # a gap that the time limit left between the rates that kept and broke the bound, as a share
STALLED = 1.5  # a mean this many times the median comes from a few very slow queries


def headline(report: Report) -> list[str]:
    """Where, what and how, a line each."""
    machine = report.environment
    bundle = report.bundle
    lines = [
        f"{machine.processor}, {machine.cores} cores, {machine.kernel}"
        + (f"; {', '.join(machine.gpus)}, driver {machine.gpu_driver}" if machine.gpus else ""),
        ", ".join(f"{name} {version}" for name, version in machine.versions.items()),
    ]
    if bundle is not None:
        untrained = "" if bundle.weights == "trained" else ", untrained weights"
        lines.append(f"bundle {bundle.name} {bundle.sha256[:12]}{untrained}")
    backends = sorted(
        {
            f"{measurement.key.device}: {measurement.key.backend}"
            for measurement in report.measurements
            if measurement.metrics
        }
    )
    lines += backends
    return lines


def notes(report: Report) -> list[str]:
    """What a reader must know beside the figures."""
    lines = [
        f"scope {name}: {SCOPES[name]}" for name in SCOPES if any(c.key.scope == name for c in report.measurements)
    ]
    if not report.finished:
        lines.append("INTERRUPTED: some requested measurements are missing")
    unstable = sum(c.metrics is not None and c.metrics.stability.verdict == "unstable" for c in report.measurements)
    if unstable:
        lines.append(
            f"{unstable} of {len(report.measurements)} measurements UNSTABLE: windows disagreed by more than "
            f"{100 * float(report.settings.get('tolerance') or 0):g} %; do not compare them"
        )
    stalled = sum(
        c.metrics is not None and c.metrics.latency.mean_ms > STALLED * c.metrics.latency.p50_ms
        for c in report.measurements
    )
    if stalled:
        lines.append(
            f"{stalled} of {len(report.measurements)} measurements have a mean above {STALLED:g} x their median: other "
            "processes, or the work itself, delayed some queries"
        )
    lines += [line for measurement in report.measurements for line in _unresolved(measurement)]
    load = report.environment.load_average.value
    if load is not None and load > 0.5:
        lines.append(f"the machine was not idle at the start: load average {load:g}")
    return [
        *lines,
        *sorted({line for measurement in report.measurements for line in _throttling(measurement)}),
        *_not_measured(report),
    ]


def _unresolved(measurement: Measurement) -> Iterator[str]:
    """A server's search that ran out of time leaves a gap."""
    server = measurement.metrics.server if measurement.metrics is not None else None
    if server is None:
        return
    full = 2 * server.trials[0].rate_per_s  # bisection begins at half of what the server can do without a queue
    broke = min((trial.rate_per_s for trial in server.trials if not trial.kept), default=full)
    kept = server.highest_rate_per_s
    if kept and broke - kept > WIDE * broke:
        subject = measurement.key.subject
        yield f"server {subject}: the highest rate lies between {kept:.2f} and {broke:.2f}/s; a longer limit narrows it"


def _throttling(measurement: Measurement) -> Iterator[str]:
    if measurement.metrics is None:
        return
    before, after = measurement.metrics.before, measurement.metrics.after
    if (after.cpu_throttle_events.value or 0) > (before.cpu_throttle_events.value or 0):
        yield "the processor throttled during the measurement"
    for reason in sorted({*(before.gpu_throttle_reasons or ()), *(after.gpu_throttle_reasons or ())}):
        yield f"the GPU was throttled: {reason}"


def _not_measured(report: Report) -> list[str]:
    reasons: dict[str, None] = {}
    for measurement in report.measurements:
        if measurement.metrics is None:
            continue
        found: dict[str, Quantity] = {
            "energy": measurement.metrics.energy.per_clip_j,
            "device memory": measurement.metrics.memory.device_mib,
            "processor temperature": measurement.metrics.after.cpu_celsius,
            "processor throttling": measurement.metrics.after.cpu_throttle_events,
            "processor clock": measurement.metrics.after.cpu_mhz,
        }
        for name, quantity in found.items():
            if quantity.reason is not None:
                reasons[f"{name} not measured: {quantity.reason}"] = None
    return list(reasons)

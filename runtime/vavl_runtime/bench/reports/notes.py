"""The sentences around the figures: what was measured on, what was not measured and why, what to mistrust."""

from collections.abc import Iterator

from vavl_runtime.bench.record import Cell, Quantity, Report

SCOPES = {
    "graph": "one graph, tensors in host memory in and out",
    "model": "waveform and face crops in, prediction out",
    "clip": "media file in, result out",
}
WIDE = 0.05  # a gap between the rates that kept and broke the bound, as a share, that the time limit has left
STALLED = 1.5  # a mean that many times the median comes from a few queries that took very long


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
    backends = sorted({f"{cell.key.device}: {cell.key.backend}" for cell in report.cells if cell.figures})
    lines += backends
    return lines


def notes(report: Report) -> list[str]:
    """What a reader must know beside the figures."""
    lines = [f"scope {name}: {SCOPES[name]}" for name in SCOPES if any(c.key.scope == name for c in report.cells)]
    if not report.finished:
        lines.append("INTERRUPTED: cells that were asked for are missing")
    unstable = sum(c.figures is not None and c.figures.steadiness.verdict == "unstable" for c in report.cells)
    if unstable:
        lines.append(
            f"{unstable} of {len(report.cells)} cells UNSTABLE: windows disagreed by more than "
            f"{100 * float(report.settings.get('tolerance') or 0):g} %; compare them with nothing"
        )
    stalled = sum(
        c.figures is not None and c.figures.latency.mean_ms > STALLED * c.figures.latency.p50_ms for c in report.cells
    )
    if stalled:
        lines.append(
            f"{stalled} of {len(report.cells)} cells have a mean above {STALLED:g} x their median: other "
            "processes, or the work itself, held some queries up"
        )
    lines += [line for cell in report.cells for line in _unresolved(cell)]
    load = report.environment.load_average.value
    if load is not None and load > 0.5:
        lines.append(f"the machine was not idle at the start: load average {load:g}")
    return [*lines, *sorted({line for cell in report.cells for line in _throttling(cell)}), *_not_measured(report)]


def _unresolved(cell: Cell) -> Iterator[str]:
    """A server's search that ran out of time leaves a gap."""
    server = cell.figures.server if cell.figures is not None else None
    if server is None:
        return
    full = 2 * server.trials[0].rate_per_s  # bisection begins at half of what the server can do without a queue
    broke = min((trial.rate_per_s for trial in server.trials if not trial.kept), default=full)
    kept = server.highest_rate_per_s
    if kept and broke - kept > WIDE * broke:
        yield f"server {cell.key.subject}: the highest rate lies between {kept:.2f} and {broke:.2f}/s; raise --limit"


def _throttling(cell: Cell) -> Iterator[str]:
    if cell.figures is None:
        return
    before, after = cell.figures.before, cell.figures.after
    if (after.cpu_throttle_events.value or 0) > (before.cpu_throttle_events.value or 0):
        yield "the processor throttled during the measurement"
    for reason in sorted({*(before.gpu_throttle_reasons or ()), *(after.gpu_throttle_reasons or ())}):
        yield f"the GPU was held back: {reason}"


def _not_measured(report: Report) -> list[str]:
    reasons: dict[str, None] = {}
    for cell in report.cells:
        if cell.figures is None:
            continue
        found: dict[str, Quantity] = {
            "energy": cell.figures.energy.per_clip_j,
            "device memory": cell.figures.memory.device_mib,
            "processor temperature": cell.figures.after.cpu_celsius,
            "processor throttling": cell.figures.after.cpu_throttle_events,
            "processor clock": cell.figures.after.cpu_mhz,
        }
        for name, quantity in found.items():
            if quantity.reason is not None:
                reasons[f"{name} not measured: {quantity.reason}"] = None
    return list(reasons)

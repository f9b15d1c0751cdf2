"""How long programs take, in turns; then how many clips each answers when nothing waits, and on what energy."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.gpu.accelerator import Accelerator, Work

PERCENTILES = (50, 95, 99)


@dataclass(frozen=True)
class Effort:
    """How much is measured.

    Attributes:
        warm_ups: Runs before anything counts; ONNX Runtime captures its graphs in them.
        rounds: Turns that every program gets.
        runs: Runs in a turn, unless they take too long.
        turn_s: Time after which a turn ends.
        least_runs: Runs in a turn, however long they take.
        sustain_s: Time of the run that counts clips and energy.
        queue: Runs between two waits in it, so that neither the host nor the device waits for the other.
    """

    warm_ups: int = 6
    rounds: int = 5
    runs: int = 60
    turn_s: float = 0.4
    least_runs: int = 4
    sustain_s: float = 1.5
    queue: int = 8

    def reserve_s(self, programs: int) -> float:
        """Time to keep for measuring so many programs, and for opening one more before."""
        return 45.0 + programs * (self.rounds * self.turn_s + 2 * self.sustain_s)


TINY = Effort(warm_ups=2, rounds=2, runs=2, least_runs=1, sustain_s=0.0, queue=1)


def summarise(milliseconds: list[float]) -> dict[str, float]:
    """Percentiles (values that occurred, nearest rank) and the number of runs."""
    values = np.percentile(milliseconds, PERCENTILES, method="inverted_cdf")
    named = {f"p{share}": round(float(value), 4) for share, value in zip(PERCENTILES, values, strict=True)}
    return {**named, "runs": len(milliseconds)}


def measure_latency(accelerator: Accelerator, works: Mapping[str, Work], effort: Effort) -> dict[str, dict[str, Any]]:
    """Time programs in turns, so that whatever the machine does meets them all.

    Args:
        accelerator: The device.
        works: What enqueues one run, by name; warmed up.
        effort: How much.

    Returns:
        By name ``device_ms`` (between events before and after a run) and ``host_ms`` (by the host's clock, until the
        answer lies in device memory), each with its percentiles, and the median ``device_ms`` of each turn.
    """
    device: dict[str, list[float]] = {name: [] for name in works}
    host: dict[str, list[float]] = {name: [] for name in works}
    turns: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(effort.rounds):
        for name, work in works.items():
            accelerator.synchronize()
            start, first = time.perf_counter(), len(device[name])
            for number in range(effort.runs):
                if number >= effort.least_runs and time.perf_counter() - start > effort.turn_s:
                    break
                by_device, by_host = accelerator.time(work)
                device[name].append(by_device)
                host[name].append(by_host)
            turns[name].append(round(float(np.median(device[name][first:])), 4))
    return {
        name: {"device_ms": summarise(device[name]), "host_ms": summarise(host[name]), "turns_p50_ms": turns[name]}
        for name in works
    }


def measure_throughput(
    accelerator: Accelerator, work: Work, batch: int, effort: Effort, joules: Callable[[], float] | str
) -> dict[str, Any]:
    """Run without pause.

    Args:
        accelerator: The device.
        work: What enqueues one run.
        batch: Clips in a run.
        effort: How long.
        joules: Reads the device's counter of energy, or why there is none.

    Returns:
        ``clips_per_s``, ``clip_joules`` and ``watts``, all that the device draws; or ``energy_reason``.
    """
    accelerator.synchronize()
    before = 0.0 if isinstance(joules, str) else joules()
    start, runs = time.perf_counter(), 0
    while runs == 0 or time.perf_counter() - start < effort.sustain_s:
        for _ in range(effort.queue):
            work()
        accelerator.synchronize()
        runs += effort.queue
    seconds = time.perf_counter() - start
    figures: dict[str, Any] = {"clips_per_s": round(runs * batch / seconds, 3)}
    if isinstance(joules, str):
        return {**figures, "energy_reason": joules}
    used = joules() - before
    return {**figures, "clip_joules": round(used / (runs * batch), 5), "watts": round(used / seconds, 1)}

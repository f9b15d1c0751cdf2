"""Compares the latency of a variant with that of its fp32 graph, on the machine that exports."""

import platform
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

from vavl_runtime.backends.ort.cpu import OnnxRuntimeBackend
from vavl_runtime.bundle.golden import Arrays
from vavl_runtime.bundle.manifest import GraphRecord, SpeedRecord
from vavl_runtime.devices.cpu import int8_instructions

WORTH = 1.2  # a smaller gain is not worth the drift, and timings of small graphs vary as much
SECONDS = 2.0
LEAST_PAIRS = 8


def target_name() -> str:
    """Describe what measures here: backend, version, provider and processor architecture."""
    return f"{OnnxRuntimeBackend().info} {platform.machine()}"


def compare_latency(exact: Path, variant: Path, record: GraphRecord, inputs: Sequence[Arrays]) -> SpeedRecord:
    """Run both graphs in turns, so that other load on the machine slows down both.

    Args:
        exact: File of the fp32 graph.
        variant: File of the variant.
        record: Their signature.
        inputs: Real inputs; repeated as often as necessary.

    Returns:
        The median time of the fp32 graph divided by that of the variant, with the reason if the gain is too small.
    """
    backend = OnnxRuntimeBackend()
    backend.load("fp32", exact, record)
    backend.load("variant", variant, record)
    times: dict[str, list[float]] = {"fp32": [], "variant": []}
    end = time.perf_counter() + SECONDS
    turn = 0
    while turn < LEAST_PAIRS or time.perf_counter() < end:
        fed = inputs[turn % len(inputs)]
        for name, taken in times.items():
            start = time.perf_counter()
            backend.run(name, fed)
            taken.append(time.perf_counter() - start)
        turn += 1
    backend.close()
    warm = {name: statistics.median(taken[2:]) for name, taken in times.items()}
    speedup = round(warm["fp32"] / warm["variant"], 3)
    reason = None if speedup >= WORTH else f"{speedup:.2f} x the speed of fp32, at least {WORTH} x expected"
    return speed_record(speedup, reason)


def speed_record(speedup: float, reason: str | None) -> SpeedRecord:
    """Record a speedup together with the backend and the processor that it holds for.

    Args:
        speedup: Time of the fp32 graph divided by that of the variant.
        reason: Why the variant is not worth using; None if it is.

    Returns:
        The record.
    """
    return SpeedRecord(
        target=target_name(),
        machine=platform.machine(),
        instructions=int8_instructions(),
        speedup=speedup,
        reason=reason,
    )

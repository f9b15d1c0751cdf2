"""How fast a variant is beside its fp32 graph, on the machine that exports."""

import platform
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

from vavl_export.golden import Arrays
from vavl_runtime.backends.ort.cpu import OnnxRuntimeBackend
from vavl_runtime.bundle.manifest import GraphRecord, SpeedRecord
from vavl_runtime.devices.cpu import int8_instructions

WORTH = 1.2  # below this gain the drift is not worth it, and small graphs are timed no better
SECONDS = 2.0
LEAST_PAIRS = 8


def target_name() -> str:
    """What runs here: engine, version, provider and processor architecture."""
    return f"{OnnxRuntimeBackend().info} {platform.machine()}"


def measure_speed(exact: Path, variant: Path, record: GraphRecord, inputs: Sequence[Arrays]) -> SpeedRecord:
    """Run both graphs turn by turn, so that whatever else the machine does slows down both.

    Args:
        exact: The fp32 graph.
        variant: Its variant.
        record: Their signature.
        inputs: Real inputs; repeated as often as need be.

    Returns:
        Median time of the fp32 graph over that of the variant, with the reason if that is not worth it.
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
    reason = None if speedup >= WORTH else f"{speedup:.2f} x the speed of fp32, at least {WORTH} x is worth its drift"
    return speed_record(speedup, reason)


def speed_record(speedup: float, reason: str | None) -> SpeedRecord:
    """Say where a figure holds: on what runs here, on this kind of processor.

    Args:
        speedup: Time of the fp32 graph over that of the variant.
        reason: Why the variant is not worth it; None if it is.

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

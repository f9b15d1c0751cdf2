"""A record of the benchmark on a GPU as it might come out, made up."""

from dataclasses import asdict
from typing import Any

from benchmarks.gpu.plan import Engine, Point, engines


def measured(engine: str, p50: float, clips_per_s: float) -> dict[str, Any]:
    """A cell that was measured."""
    times = {"p50": p50, "p95": 1.1 * p50, "p99": 1.2 * p50, "runs": 300}
    return {
        "engine": engine,
        "status": "measured",
        "device_ms": times,
        "host_ms": times,
        "turns_p50_ms": [p50],
        "clips_per_s": clips_per_s,
        "parity": 1e-3,
        "tolerance": 5e-3,
        "memory_mib": 1000.0,
        "clip_joules": 0.5,
    }


def entry(point: Point, cells: list[dict[str, Any]], layered_ms: float = 1.0) -> dict[str, Any]:
    """A point of 200 GFLOP."""
    counts = {"operations": 200_000_000_000, "weight_bytes": 400_000_000, "io_bytes": 1000}
    return {**asdict(point), "cells": cells, **counts, "floor_ms": 0.25, "layered_ms": layered_ms}


def record(*entries: dict[str, Any]) -> dict[str, Any]:
    """A record with ceilings of 800 TFLOP/s and 3 TB/s."""
    return {
        "benchmark": "gpu",
        "command": "python -m benchmarks.gpu",
        "tiny": False,
        "environment": {"name": "GPU X", "torch": "2.11", "onnxruntime": "1.31.1"},
        "ceilings": {"copy_bytes_per_s": 3e12, "matmul_flops_per_s": 8e14},
        "points": list(entries),
    }


def all_cells(point: Point, p50: float = 4.0) -> list[dict[str, Any]]:
    """Every engine of a point, measured alike."""

    def cell(engine: Engine) -> dict[str, Any]:
        return measured(engine.name, p50, point.batch * 250.0)

    return [cell(engine) for engine in engines(point)]

"""Works off the plan: opens the record, measures every side in a process of its own, and continues where it stopped."""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.gpu.ceilings import count_work, measure_ceilings
from benchmarks.gpu.plan import BATCHES, PYTORCH, RUNTIME, point_of, points, side_name, sides, specification
from benchmarks.gpu.pytorch import measure_pytorch
from benchmarks.modules import torch_modules
from benchmarks.record import Record, new_record, write_record
from vavl_bench.environment import read_environment
from vavl_bench.measure import measure_one
from vavl_bench.plan import MeasurementSpec
from vavl_bench.runner import Measure, failed_measurement, measure_apart
from vavl_bench.schema import Measurement
from vavl_export import build_engines, verify_bundle
from vavl_export.errors import ParityError
from vavl_runtime.bundle import open_bundle
from vavl_runtime.devices.cpu import usable_cores
from vavl_runtime.errors import BackendUnavailableError, InputError, VavlError


def open_record(output: Path, bundle: Path, device: str, preset: str, most: int | None) -> Record:
    """Continue the record of the same bundle and device, or start one with ceilings and the work of each point.

    Args:
        output: The JSON file.
        bundle: Folder of the bundle.
        device: ``cuda:N`` or ``cpu``.
        preset: Preset of the bundle.
        most: How many points; None for all.

    Raises:
        InputError: The file holds figures of something else, which could not be compared.
    """
    with open_bundle(bundle) as opened:
        manifest, sha256 = opened.manifest, opened.sha256
    record = new_record("gpu", "python -m benchmarks.gpu", usable_cores())
    found = read_environment()
    record["environment"] |= {"gpu": ", ".join(found.gpus) or "none", "driver": found.gpu_driver}
    record |= {"device": device, "preset": preset, "bundle": sha256}
    if output.is_file():
        known: Record = json.loads(output.read_text("utf-8"))
        if differing := [name for name, value in record.items() if known.get(name) != value]:
            raise InputError(f"{output}: taken with another {', '.join(differing)}; remove it or name another --output")
        return known
    modules = torch_modules(manifest, preset)
    record["ceilings"] = measure_ceilings(device)
    record["checks"] = {}
    record["points"] = [{**count_work(point, modules, manifest), "sides": {}} for point in points()[:most]]
    return record


def try_engines(bundle: Path) -> None:
    """Build TensorRT engines where TensorRT is installed; without them its measurements fail and say why."""
    try:
        build_engines(bundle, precision="fp16", max_batch=max(BATCHES), progress=say)
    except BackendUnavailableError as error:
        say(f"no TensorRT engines: {error}")


def verify_sides(record: Record, bundle: Path, output: Path) -> None:
    """Compare every graph with PyTorch on this device, before anything is timed.

    Args:
        record: The record; ``checks`` gets the failed checks of each backend.
        bundle: Folder of the bundle.
        output: Where the record is kept.
    """
    for backend in RUNTIME:
        if backend in record["checks"]:
            continue
        try:
            verification = verify_bundle(bundle, device=record["device"], backend=backend, progress=say)
            failed = {check.name: check.detail for check in verification.failed}
        except VavlError as error:  # a backend that is missing is a result
            failed = {backend: str(error)}
        for name, detail in failed.items():
            say(f"failed: {name}: {detail}")
        record["checks"][backend] = failed
        write_record(record, output)


def _require_verified(record: Record, backend: str, precision: str) -> None:
    """Refuse to time what failed its checks: those of this precision, and those of the bundle or backend as a whole."""
    for name, detail in record["checks"].get(backend, {}).items():
        if not name.startswith("drift ") or f" {precision} on " in name:
            raise ParityError(f"not timed: {name}: {detail}")


def measure_all(record: Record, measure: Measure, bundle: Path, output: Path, deadline: float) -> bool:
    """Measure what the record lacks, each in a process of its own, and write the record after each.

    Args:
        record: The record; measurements are added.
        measure: Measures a specification in the process in which it is called.
        bundle: Folder of the bundle.
        output: Where the record is kept.
        deadline: Time by ``time.monotonic`` after which no measurement begins.

    Returns:
        Whether everything is measured.
    """
    for entry, (backend, precision) in _missing(record):
        if time.monotonic() > deadline:
            return False
        spec = specification(point_of(entry), backend, precision, bundle, record["device"])
        say(str(spec))
        try:
            _require_verified(record, backend, precision)
            measurement = measure_apart(spec, measure)
        except VavlError as error:  # an engine that is missing or fails is a result
            say(f"error: {error}")
            measurement = failed_measurement(spec, error)
        entry["sides"][side_name(backend, precision)] = json.loads(measurement.model_dump_json())
        write_record(record, output)
    return True


def measure_side(spec: MeasurementSpec, preset: str) -> Measurement:
    """Measure PyTorch or the runtime in this process."""
    return measure_pytorch(spec, preset) if spec.backend in PYTORCH else measure_one(spec)


def _missing(record: Record) -> Iterator[tuple[Record, tuple[str, str]]]:
    for entry in record["points"]:
        for side in sides(point_of(entry)):
            if side_name(*side) not in entry["sides"]:
                yield entry, side


def say(line: str) -> None:
    """Tell progress on stderr."""
    print(line, file=sys.stderr, flush=True)

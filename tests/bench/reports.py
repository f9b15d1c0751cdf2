"""Reports made of simulated measurements."""

from collections.abc import Iterable

from tests.bench.fakes import SlowBackend, spec
from vavl_runtime.bench.clock import SimulatedClock
from vavl_runtime.bench.measure import measure_cell
from vavl_runtime.bench.record import BundleRecord, Cell, Report
from vavl_runtime.bench.running import new_report

BUNDLE = BundleRecord(name="made", sha256="0" * 64, weights="trained")


def made_cell(durations: Iterable[float], **changes: object) -> Cell:
    clock = SimulatedClock()
    return measure_cell(spec(**changes), clock, SlowBackend(clock, durations))


def made_report(*cells: Cell, finished: bool = True) -> Report:
    report = new_report("vavl-bench made", BUNDLE, {"tolerance": 0.05})
    return report.model_copy(update={"cells": cells, "finished": finished})

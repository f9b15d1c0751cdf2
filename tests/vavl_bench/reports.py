"""Reports made of simulated measurements."""

from collections.abc import Iterable

from tests.vavl_bench.fakes import SlowBackend, spec
from vavl_bench.clock import SimulatedClock
from vavl_bench.measure import measure_one
from vavl_bench.runner import new_report
from vavl_bench.schema import BundleRecord, Measurement, Report

BUNDLE = BundleRecord(name="made", sha256="0" * 64, weights="trained")


def made_measurement(durations: Iterable[float], **changes: object) -> Measurement:
    clock = SimulatedClock()
    return measure_one(spec(**changes), clock, SlowBackend(clock, durations))


def made_report(*measurements: Measurement, finished: bool = True) -> Report:
    report = new_report("vavl-bench made", BUNDLE, {"tolerance": 0.05})
    return report.model_copy(update={"measurements": measurements, "finished": finished})

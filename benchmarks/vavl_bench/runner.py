"""Measures a plan, each measurement in a process of its own, and hands over the report after every measurement.

A new process starts without the memory, the loaded libraries and the thread pools of earlier measurements.
"""

import datetime
import logging
import multiprocessing
import signal
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection

from vavl_bench.environment import read_environment
from vavl_bench.errors import MeasuringProcessError
from vavl_bench.measure import measure_one
from vavl_bench.plan import MeasurementSpec
from vavl_bench.schema import SCHEMA_VERSION, BundleRecord, Failure, Measurement, Report, SettingValue
from vavl_runtime.errors import BackendUnavailableError, GraphFailedError, VavlError

log = logging.getLogger(__name__)

Measure = Callable[[MeasurementSpec], Measurement]


def measure_apart(spec: MeasurementSpec, measure: Measure = measure_one) -> Measurement:
    """Measure one combination in a process of its own, which does not outlive an interruption.

    Args:
        spec: What to measure.
        measure: Measures it in that process; it must be picklable.

    Returns:
        The measurement.

    Raises:
        VavlError: As ``measure`` raised it.
        MeasuringProcessError: The process died.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_measure_and_send, args=(spec, measure, sender), daemon=True)
    process.start()
    sender.close()
    try:
        outcome: Measurement | VavlError = receiver.recv()
    except EOFError:
        process.join()
        raise MeasuringProcessError(
            f"{spec}: the measuring process died with exit code {process.exitcode}, perhaps out of "
            "memory or by a crash in the backend; free memory, or read its output above"
        ) from None
    except BaseException:
        process.terminate()
        raise
    finally:
        process.join()
    if isinstance(outcome, VavlError):
        raise outcome
    return outcome


def _measure_and_send(spec: MeasurementSpec, measure: Measure, sender: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is interrupted too, and ends this process
    try:
        sender.send(measure(spec))
    except VavlError as error:
        sender.send(error)


def new_report(command: str, bundle: BundleRecord | None, settings: dict[str, SettingValue]) -> Report:
    """Start a report without measurements.

    Args:
        command: The command line.
        bundle: What is measured.
        settings: How.

    Returns:
        The report, unfinished.
    """
    return Report(
        schema_version=SCHEMA_VERSION,
        command=command,
        started=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        finished=False,
        environment=read_environment(),
        bundle=bundle,
        settings=settings,
        measurements=(),
    )


def failed_measurement(spec: MeasurementSpec, error: VavlError) -> Measurement:
    """The measurement of a combination that could not be measured."""
    return Measurement(key=spec.planned_key(), error=Failure(kind=error.kind, message=str(error)))


def run_plan(
    measurements: Sequence[MeasurementSpec],
    report: Report,
    *,
    keep: Callable[[Report], object],
    measure: Measure = measure_apart,
) -> Report:
    """Measure one after the other. Progress is logged.

    Args:
        measurements: What to measure.
        report: The report to add to.
        keep: Takes the report after every measurement, so that an interruption loses only the measurement under way.
        measure: Measures a measurement.

    Returns:
        The finished report; measurements that failed hold their error.

    Raises:
        BackendUnavailableError: The device or backend is missing: no further measurement is tried.
    """
    for number, spec in enumerate(measurements, 1):
        log.info("[%d/%d] %s", number, len(measurements), spec)
        try:
            measurement = measure(spec)
        except VavlError as error:
            if isinstance(error, BackendUnavailableError) and not isinstance(error, GraphFailedError):
                raise
            log.info("failed: %s", error.kind)  # the report has the message
            measurement = failed_measurement(spec, error)
        report = report.model_copy(update={"measurements": (*report.measurements, measurement)})
        keep(report)
    report = report.model_copy(update={"finished": True})
    keep(report)
    return report

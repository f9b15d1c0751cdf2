"""Works off a plan, each cell in a process of its own, and hands over what is finished after every cell.

A process of its own starts without the memory, the loaded libraries and the thread pools of the cells before.
"""

import datetime
import multiprocessing
import signal
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection

from vavl_runtime.bench.environment import read_environment
from vavl_runtime.bench.measure import measure_cell
from vavl_runtime.bench.plan import CellSpec
from vavl_runtime.bench.record import BundleRecord, Cell, Failure, Report, SettingValue
from vavl_runtime.errors import BackendUnavailableError, GraphFailedError, MeasuringProcessError, VavlError


def measure_apart(spec: CellSpec) -> Cell:
    """Measure a cell in a process of its own, which does not outlive an interruption.

    Raises:
        VavlError: As `measure_cell`.
        MeasuringProcessError: The process died.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_measure_and_send, args=(spec, sender), daemon=True)
    process.start()
    sender.close()
    try:
        outcome: Cell | VavlError = receiver.recv()
    except EOFError:
        process.join()
        raise MeasuringProcessError(
            f"{spec}: the measuring process died with exit code {process.exitcode}, of too little memory or in the "
            "engine; free memory, or see above what it printed"
        ) from None
    except BaseException:
        process.terminate()
        raise
    finally:
        process.join()
    if isinstance(outcome, VavlError):
        raise outcome
    return outcome


def _measure_and_send(spec: CellSpec, sender: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is interrupted too, and ends this process
    try:
        sender.send(measure_cell(spec))
    except VavlError as error:
        sender.send(error)


def new_report(command: str, bundle: BundleRecord | None, settings: dict[str, SettingValue]) -> Report:
    """Start a report without cells.

    Args:
        command: The command line.
        bundle: What is measured.
        settings: How.

    Returns:
        The report, unfinished.
    """
    return Report(
        schema_version=1,
        command=command,
        started=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        finished=False,
        environment=read_environment(),
        bundle=bundle,
        settings=settings,
        cells=(),
    )


def run_plan(
    cells: Sequence[CellSpec],
    report: Report,
    *,
    keep: Callable[[Report], object],
    tell: Callable[[str], object],
    measure: Callable[[CellSpec], Cell] = measure_apart,
) -> Report:
    """Measure cell after cell.

    Args:
        cells: What to measure.
        report: The report to add to.
        keep: Takes the report after every cell, so that an interruption loses only the cell under way.
        tell: Takes a line of progress.
        measure: Measures a cell.

    Returns:
        The finished report; cells that failed hold their error.

    Raises:
        BackendUnavailableError: The device or engine is missing: no further cell is tried.
    """
    for number, spec in enumerate(cells, 1):
        tell(f"[{number}/{len(cells)}] {spec}")
        try:
            cell = measure(spec)
        except VavlError as error:
            if isinstance(error, BackendUnavailableError) and not isinstance(error, GraphFailedError):
                raise
            tell(f"error: {error}")
            cell = Cell(key=spec.planned_key(), error=Failure(kind=error.kind, message=str(error)))
        report = report.model_copy(update={"cells": (*report.cells, cell)})
        keep(report)
    report = report.model_copy(update={"finished": True})
    keep(report)
    return report

"""Walks through the points by importance, a process each, until all are done or the time is up."""

import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.environment import environment
from benchmarks.gpu.plan import Point, engines
from benchmarks.gpu.processes import run_worker
from benchmarks.gpu.record import Record
from benchmarks.gpu.worker import POISONED
from vavl_runtime.devices.cpu import usable_cores
from vavl_runtime.errors import BackendUnavailableError

DONE = ("measured", "failed", "not measured")
LEAST_S = 75.0  # a point takes about this, so none is begun with less left
_POINT_S = 480.0

Run = Callable[[dict[str, Any], float, Callable[[dict[str, Any]], None]], int | None]
Progress = Callable[[str], None]


class Coordinator:
    """Fills a record.

    Args:
        record: The record.
        device: ``cuda`` or ``cpu``.
        folder: The work folder with the graphs.
        tiny: Tiny networks, for a dry run.
        deadline: Time, by ``time.monotonic``, at which nothing may run any more.
        progress: Called with a line of text at each step.
        run: Starts a worker; a stand-in in tests.
    """

    def __init__(
        self,
        record: Record,
        *,
        device: str,
        folder: Path,
        tiny: bool,
        deadline: float,
        progress: Progress,
        run: Run = run_worker,
    ) -> None:
        self._record = record
        self._job = {"device": device, "folder": str(folder), "tiny": tiny}
        self._deadline = deadline
        self._progress = progress
        self._run = run

    def measure_ceilings(self) -> None:
        """Measure what the device reaches at best, and note what it is.

        Raises:
            BackendUnavailableError: The device cannot even do that.
        """
        found: list[dict[str, Any]] = []
        code = self._run({**self._job, "kind": "ceilings"}, self._left(), found.append)
        if code != 0 or not found:
            raise BackendUnavailableError(
                f"{self._job['device']}: the measurement of its ceilings ended with code {code}; see above for its "
                "messages, or pass --device cpu --tiny for a dry run"
            )
        line = found[0]
        rates = {name: line[name] for name in ("copy_bytes_per_s", "matmul_flops_per_s")}
        machine = environment(usable_cores(), ())
        self._record.set_device({**machine, **line["device"]}, rates)

    def measure(self, wanted: list[Point]) -> bool:
        """Measure points.

        Args:
            wanted: The points, the most important first.

        Returns:
            Whether all are done; otherwise the same command goes on where this one stopped.
        """
        for point in wanted:
            open_ = self._open(point)
            if not open_:
                continue
            self._progress(f"{point}: {len(open_)} engines")
            if not self._measure(point):
                return False
        return True

    def _measure(self, point: Point) -> bool:
        """Engines of a point are compared, so they run together; only one that breaks the process is left out."""
        while names := self._open(point):
            if self._left() < LEAST_S:
                return False
            started = ""

            def take(line: dict[str, Any]) -> None:
                nonlocal started
                kind = line.pop("kind")
                if kind == "counts":
                    self._record.set_counts(point, line)
                elif kind == "start":
                    started = line["engine"]
                else:
                    self._record.set_cell(point, line)
                    self._progress(_summary(line))

            limit = min(self._left(), _POINT_S)
            before = len(names)
            ceilings = self._record.content["ceilings"]
            job = {**self._job, "kind": "point", "point": asdict(point), "engines": names, "ceilings": ceilings}
            job["seconds"] = limit
            code = self._run(job, limit, take)
            if code is None and limit < _POINT_S:
                return False
            if code == 0 and len(self._open(point)) == before:
                return False  # no time for even one more
            if code in (0, POISONED):
                continue
            reason = f"took longer than {_POINT_S:.0f} s" if code is None else f"the process ended with code {code}"
            still_open = self._open(point)
            if started and started not in still_open:
                continue  # it failed, said why, and then took the process with it
            for name in [started] if started else still_open:
                self._record.set_cell(point, {"engine": name, "status": "failed", "reason": reason})
                self._progress(f"  {name}: {reason}")
        return True

    def _open(self, point: Point) -> list[str]:
        """The engines that still have no cell."""
        known = self._record.cells(point)
        return [engine.name for engine in engines(point) if known.get(engine.name, {}).get("status") not in DONE]

    def _left(self) -> float:
        return self._deadline - time.monotonic()


def _summary(cell: dict[str, Any]) -> str:
    if cell["status"] != "measured":
        return f"  {cell['engine']}: {cell['status']}: {cell['reason']}"
    times = cell["device_ms"]
    return (
        f"  {cell['engine']}: p50 {times['p50']:.3f} ms, p99 {times['p99']:.3f} ms, {cell['clips_per_s']:.0f} clips/s"
    )

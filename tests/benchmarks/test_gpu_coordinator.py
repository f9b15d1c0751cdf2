"""Whatever a worker does, its cells are on disk, the others are measured, and the same command goes on."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.gpu.coordinator import LEAST_S, Coordinator
from benchmarks.gpu.plan import BATCHES, ENGINES, LENGTHS_S, MOST_FACES, Point, engines, points
from benchmarks.gpu.record import Record
from benchmarks.gpu.worker import POISONED
from tests.benchmarks.gpu_record import measured
from vavl_runtime.errors import BackendUnavailableError, InputError

POINT = Point("path", "audio", 3.0, 8)
NAMES = [engine.name for engine in engines(POINT)]
Take = Callable[[dict[str, Any]], None]


class Workers:
    """Plays workers: some engines break the process, some leave the device in an error."""

    def __init__(self, *, deadly: str = "", poisonous: str = "", fatal: str = "", late: bool = False) -> None:
        self.jobs: list[dict[str, Any]] = []
        self._deadly, self._poisonous, self._fatal, self._late = deadly, poisonous, fatal, late

    def __call__(self, job: dict[str, Any], seconds: float, take: Take) -> int | None:
        if job["kind"] == "ceilings":
            rates = {"copy_bytes_per_s": 3e12, "matmul_flops_per_s": 8e14}
            take({"kind": "ceilings", **rates, "device": {"name": "GPU X"}})
            return 0
        self.jobs.append(job)
        take({"kind": "counts", "operations": 10, "floor_ms": 1.0, "layered_ms": 2.0})
        for name in job["engines"]:
            take({"kind": "start", "engine": name})
            if name == self._deadly:
                return -11
            if name in (self._poisonous, self._fatal):
                take({"kind": "cell", "engine": name, "status": "failed", "reason": "illegal address"})
                return POISONED if name == self._poisonous else -6
        if self._late:
            return None
        for name in job["engines"]:
            take({"kind": "cell", **measured(name, 1.0, 100.0)})
        return 0


def coordinate(file: Path, workers: Workers, seconds: float = 1000.0) -> tuple[bool, dict[str, Any]]:
    coordinator = Coordinator(
        Record(file, "a command", tiny=False),
        device="cpu",
        folder=file.parent,
        tiny=False,
        deadline=time.monotonic() + seconds,
        progress=lambda line: None,
        run=workers,
    )
    coordinator.measure_ceilings()
    return coordinator.measure([POINT]), json.loads(file.read_text("utf-8"))


def statuses(content: dict[str, Any]) -> dict[str, str]:
    (entry,) = content["points"]
    return {cell["engine"]: cell["status"] for cell in entry["cells"]}


def test_everything_is_measured_together(tmp_path: Path) -> None:
    workers = Workers()
    complete, content = coordinate(tmp_path / "gpu.json", workers)
    assert complete
    assert statuses(content) == dict.fromkeys(NAMES, "measured")
    assert content["points"][0]["layered_ms"] == 2.0
    assert [job["engines"] for job in workers.jobs] == [NAMES]


@pytest.mark.parametrize("kind", ["deadly", "poisonous", "fatal"])
def test_an_engine_that_breaks_the_process_costs_its_own_cell(tmp_path: Path, kind: str) -> None:
    workers = Workers(**{kind: NAMES[1]})
    complete, content = coordinate(tmp_path / "gpu.json", workers)
    assert complete
    assert statuses(content) == {name: "failed" if name == NAMES[1] else "measured" for name in NAMES}
    assert [job["engines"] for job in workers.jobs] == [NAMES, [name for name in NAMES if name != NAMES[1]]]
    reasons = {cell["engine"]: cell.get("reason", "") for cell in content["points"][0]["cells"]}
    assert reasons[NAMES[1]] == ("the process ended with code -11" if kind == "deadly" else "illegal address")


def test_the_next_command_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "gpu.json"
    complete, content = coordinate(file, Workers(), seconds=LEAST_S / 2)
    assert not complete
    assert content["points"] == [] or content["points"][0]["cells"] == []
    complete, content = coordinate(file, Workers(late=True), seconds=LEAST_S + 5)
    assert not complete
    assert content["points"][0]["cells"] == []
    assert coordinate(file, Workers())[0]
    idle = Workers()
    assert coordinate(file, idle)[0]
    assert idle.jobs == []


def test_another_device_does_not_continue_a_record(tmp_path: Path) -> None:
    file = tmp_path / "gpu.json"
    coordinate(file, Workers())
    content = json.loads(file.read_text("utf-8"))
    content["environment"]["name"] = "GPU Y"
    file.write_text(json.dumps(content))
    with pytest.raises(InputError, match="taken with another name"):
        coordinate(file, Workers())


@pytest.mark.parametrize("content", ["nothing", "[]", '{"benchmark": "gpu", "tiny": true}', '{"benchmark": "fit_cpu"}'])
def test_other_files_are_left_alone(tmp_path: Path, content: str) -> None:
    file = tmp_path / "gpu.json"
    file.write_text(content)
    with pytest.raises(InputError, match="name another place"):
        Record(file, "a command", tiny=False)
    assert file.read_text() == content


def test_without_the_device_it_says_so(tmp_path: Path) -> None:
    coordinator = Coordinator(
        Record(tmp_path / "gpu.json", "a command", tiny=False),
        device="cuda",
        folder=tmp_path,
        tiny=False,
        deadline=time.monotonic() + 100,
        progress=lambda line: None,
        run=lambda job, seconds, take: 1,
    )
    with pytest.raises(BackendUnavailableError, match="cuda: the measurement of its ceilings ended with code 1"):
        coordinator.measure_ceilings()


def test_the_plan_begins_with_the_goal_and_covers_everything() -> None:
    planned = points()
    assert planned[0] == Point("whole", "audio_visual", 3.0, 1)
    assert engines(planned[0]) == list(ENGINES)
    assert len(set(planned)) == len(planned)
    alone = {(p.scope, p.path, p.seconds) for p in planned if p.batch == 1 and p.scope != "encoder"}
    paths = ("audio", "visual", "audio_visual")
    assert alone == {(scope, path, length) for scope in ("whole", "path") for path in paths for length in LENGTHS_S}
    assert {p.batch for p in planned} == {1, *BATCHES}
    assert all(p.faces <= MOST_FACES for p in planned if p.scope != "path")
    assert all(engines(point) for point in planned)

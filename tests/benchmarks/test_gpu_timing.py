"""Programs take turns, statistics are of values that occurred, energy is told or its absence explained."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.gpu.accelerator import CpuAccelerator, Work
from benchmarks.gpu.energy import open_counter
from benchmarks.gpu.timing import Effort, measure_latency, measure_throughput, summarise

EFFORT = Effort(rounds=3, runs=4, turn_s=1000.0, sustain_s=0.0, queue=2)


class ScriptedAccelerator(CpuAccelerator):
    """A device on which runs take the times that are given."""

    def __init__(self, times: dict[str, list[float]]) -> None:
        self._times = {name: iter(values) for name, values in times.items()}
        self.ran: list[str] = []

    def work(self, name: str) -> Work:
        return lambda: self.ran.append(name)

    def time(self, work: Work) -> tuple[float, float]:
        work()
        milliseconds = next(self._times[self.ran[-1]])
        return milliseconds, milliseconds + 1.0


@given(st.lists(st.floats(1e-3, 1e6), min_size=1))
def test_percentiles_occurred_and_rise(milliseconds: list[float]) -> None:
    figures = summarise(milliseconds)
    rounded = {round(value, 4) for value in milliseconds}
    assert {figures["p50"], figures["p95"], figures["p99"]} <= rounded
    assert min(rounded) <= figures["p50"] <= figures["p95"] <= figures["p99"] <= max(rounded)
    assert figures["runs"] == len(milliseconds)


def test_nearest_rank() -> None:
    figures = summarise([float(value) for value in range(1, 101)])
    assert (figures["p50"], figures["p95"], figures["p99"]) == (50.0, 95.0, 99.0)


def test_programs_take_turns() -> None:
    device = ScriptedAccelerator({"a": [1.0] * 4 + [2.0] * 4 + [9.0] * 4, "b": [5.0] * 12})
    figures = measure_latency(device, {name: device.work(name) for name in "ab"}, EFFORT)
    assert "".join(device.ran) == "aaaabbbb" * 3
    assert figures["a"]["turns_p50_ms"] == [1.0, 2.0, 9.0]
    assert figures["a"]["device_ms"] == {"p50": 2.0, "p95": 9.0, "p99": 9.0, "runs": 12}
    assert figures["b"]["host_ms"]["p50"] == 6.0


def test_slow_programs_run_less_often() -> None:
    device = ScriptedAccelerator({"a": [1.0] * 9})
    effort = Effort(rounds=2, runs=4, turn_s=0.0, least_runs=2)
    measure_latency(device, {"a": device.work("a")}, effort)
    assert 2 * effort.least_runs <= len(device.ran) < 2 * effort.runs


def test_energy_is_shared_among_clips() -> None:
    device, meter = ScriptedAccelerator({}), iter([100.0, 112.0])
    figures = measure_throughput(device, device.work("a"), 3, EFFORT, lambda: next(meter))
    assert device.ran == ["a", "a"]
    assert figures["clip_joules"] == 12.0 / (2 * 3)
    assert figures["clips_per_s"] > 0


def test_without_a_counter_the_reason_is_kept() -> None:
    device = ScriptedAccelerator({})
    with open_counter("cpu") as joules:
        assert joules == "only of a GPU"
        figures = measure_throughput(device, device.work("a"), 1, EFFORT, joules)
    assert figures["energy_reason"] == "only of a GPU"
    assert "clip_joules" not in figures


@pytest.mark.parametrize("programs", [0, 5])
def test_measuring_what_is_open_fits_into_what_is_reserved(programs: int) -> None:
    effort = Effort()
    needed = programs * (effort.rounds * effort.turn_s + effort.sustain_s)
    assert needed < effort.reserve_s(programs)

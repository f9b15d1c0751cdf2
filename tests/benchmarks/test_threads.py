"""The benchmark of thread numbers."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.studies import threads
from vavl_runtime.devices.cpu import usable_cores

Turns = st.lists(st.floats(1e-3, 1e3), min_size=3, max_size=3)


@given(Turns, Turns)
def test_the_default_is_set_against_the_best(default: list[float], other: list[float]) -> None:
    ratio = threads.slower_than_best({"2": default, "1": other}, 2)
    assert ratio >= 1
    assert (ratio == 1) == (sorted(default)[1] <= sorted(other)[1])


def test_every_number_of_threads_has_its_turns(
    light_bundle: Path, example_clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads, "TURN_S", 0.0)
    turns = threads.measure(light_bundle, example_clip, 1)
    cores = usable_cores()
    assert list(turns) == [str(number) for number in range(1, 2 * cores + 1)]
    assert all(len(taken) == 1 for taken in turns.values())
    assert threads.default_threads() == cores
    record = {
        "default": threads.default_threads(),
        "command": "command",
        "environment": {"processor": "P", "threads": cores, "onnxruntime": "1"},
        "rounds": 1,
        "seconds": {"light": turns},
    }
    assert f"| {threads.slower_than_best(turns, cores):.2f} x |" in threads.table(record)

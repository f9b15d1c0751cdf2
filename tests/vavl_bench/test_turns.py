"""Turns alternate, a turn's time is what its side takes, and ratios are of the same rounds."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vavl_bench.clock import SimulatedClock
from vavl_bench.turns import advantage, least_and_median, take_turns

times = st.floats(1e-6, 1e3)
unhurried = settings(deadline=None)


class CallingClock(SimulatedClock):
    """Time passes only in what is called."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []

    def side(self, name: str, *seconds: float) -> Callable[[], None]:
        """Make a side whose calls take so long, over and over."""

        def call() -> None:
            self.advance(seconds[self.calls.count(name) % len(seconds)])
            self.calls.append(name)

        return call


def test_order_turns_round_and_a_first_call_does_not_count() -> None:
    clock = CallingClock()
    turns = take_turns({"a": clock.side("a", 100.0, 1.0), "b": clock.side("b", 3.0)}, 2, 0.0, clock)
    assert "".join(clock.calls) == "aabb" + "bbaa"
    assert turns == {"a": [1.0, 1.0], "b": [3.0, 3.0]}


@unhurried
@given(seconds=st.floats(0.5, 10.0), turn=st.floats(0.0, 20.0), rounds=st.integers(1, 4))
def test_a_turn_lasts_as_long_as_asked(seconds: float, turn: float, rounds: int) -> None:
    clock = CallingClock()
    turns = take_turns({"a": clock.side("a", seconds)}, rounds, turn, clock)
    assert turns["a"] == pytest.approx([seconds] * rounds)
    counted = len(clock.calls) / rounds - 1
    assert counted == pytest.approx(max(turn / seconds, 1.0), abs=1.0)


def test_a_turn_is_the_median_of_its_calls() -> None:
    clock = CallingClock()
    turns = take_turns({"a": clock.side("a", 9.0, 1.0, 2.0, 30.0)}, 1, 20.0, clock)
    assert turns["a"] == [2.0]


@unhurried
@given(st.lists(st.tuples(times, times), min_size=1))
def test_advantage_of_one_is_the_inverse_of_the_others(pairs: list[tuple[float, float]]) -> None:
    ours, theirs = zip(*pairs, strict=True)
    there, back = advantage(ours, theirs), advantage(theirs, ours)
    assert there["of_medians"] == pytest.approx(1 / back["of_medians"])
    assert there["of_leasts"] == pytest.approx(1 / back["of_leasts"])
    assert there["least"] == pytest.approx(1 / back["largest"])


@unhurried
@given(st.lists(times, min_size=1), st.floats(0.1, 10.0))
def test_a_slow_down_of_every_round_is_found_whatever_the_noise(noise: list[float], factor: float) -> None:
    found = advantage(noise, [factor * each for each in noise])
    assert list(found.values()) == pytest.approx([factor] * 4)


def test_advantage_of_unequal_rounds_is_refused() -> None:
    with pytest.raises(ValueError, match="argument 2 is longer"):
        advantage([1.0], [1.0, 2.0])


@unhurried
@given(st.lists(times, min_size=1))
def test_least_is_not_above_the_median(turns: list[float]) -> None:
    found = least_and_median(turns)
    assert found["least"] in turns
    assert found["least"] <= found["median"] <= max(turns)

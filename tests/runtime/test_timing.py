"""The stage timer: on one thread stages never overlap, on several their overlap is counted, and nothing is lost."""

import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vavl_runtime.stage_profile import grouped, profile_lines
from vavl_runtime.timing import WAIT, StageTimer


class Hands:
    """A clock that moves when told."""

    def __init__(self) -> None:
        self.time_s = 5.0

    def __call__(self) -> float:
        return self.time_s


# A tree of work: seconds spent in a stage itself, or a stage inside it.
Work = st.recursive(
    st.floats(0, 10), lambda inner: st.tuples(st.sampled_from("abc"), st.lists(inner, max_size=4)), max_leaves=12
)


@given(st.lists(Work, max_size=5))
def test_stages_of_a_thread_add_up(work: list[object]) -> None:
    clock = Hands()
    timer = StageTimer(clock)
    expected: dict[str, float] = {}
    outside = 0.0

    def do(item: object, stage: str | None) -> None:
        nonlocal outside
        if isinstance(item, tuple):
            with timer.stage(item[0]):
                for part in item[1]:
                    do(part, item[0])
        elif isinstance(item, float):
            clock.time_s += item
            if stage is None:
                outside += item
            else:
                expected[stage] = expected.get(stage, 0.0) + item

    for item in work:
        do(item, None)
    budget = timer.budget()
    for stage, seconds in expected.items():
        assert budget.stages_s[stage] == pytest.approx(seconds)
    assert budget.covered_s == pytest.approx(sum(expected.values()), abs=1e-9)
    assert budget.total_s == pytest.approx(budget.covered_s + outside, abs=1e-9)
    assert budget.concurrent_s == 0


def test_an_interrupted_stage_is_closed() -> None:
    clock = Hands()
    timer = StageTimer(clock)
    with pytest.raises(ValueError, match="broken"), timer.stage("decode"):
        clock.time_s += 2
        raise ValueError("broken")
    clock.time_s += 3
    assert timer.milliseconds() == {"decode": 2000.0, "total": 5000.0}


def test_producing_is_booked_and_consuming_is_not() -> None:
    clock = Hands()
    timer = StageTimer(clock)

    def produce() -> Iterator[int]:
        for number in range(3):
            clock.time_s += 1
            yield number

    for _ in timer.each("decode", produce()):
        clock.time_s += 10
    assert timer.milliseconds() == {"decode": 3000.0, "total": 33000.0}


def test_threads_are_told_apart_and_their_overlap_is_counted() -> None:
    clock = Hands()
    timer = StageTimer(clock)
    opened, may_close = threading.Event(), threading.Event()

    def decode() -> None:
        with timer.stage("decode"):
            opened.set()
            assert may_close.wait(10)

    worker = threading.Thread(target=decode, name="decoder")
    with timer.stage("path"):
        clock.time_s += 1  # path alone
        worker.start()
        assert opened.wait(10)
        clock.time_s += 2  # both
        with timer.stage(WAIT):
            clock.time_s += 4  # the decoder alone
            may_close.set()
            worker.join()
            clock.time_s += 8  # nobody
    budget = timer.budget()
    assert budget.busy_s == {"MainThread": {"path": 3.0, WAIT: 12.0}, "decoder": {"decode": 6.0}}
    assert (budget.total_s, budget.covered_s, budget.concurrent_s) == (15.0, 7.0, 2.0)
    assert "decode" in grouped(budget.busy_s["decoder"])
    lines = profile_lines(budget)
    assert any("on decoder" in line for line in lines)
    assert "2000.0 ms of it on several threads at once" in lines[-1]
    assert "46.7 %" in lines[-1]


def test_groups_keep_every_millisecond() -> None:
    stages = {"decode_video": 3.0, "unheard_of": 1.0, "open": 2.0, "crop": 4.0, "track": 5.0}
    assert list(grouped(stages).items()) == [("demux/decode", 5.0), ("track/crop", 9.0), ("unheard_of", 1.0)]

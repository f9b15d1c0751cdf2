"""Work of known duration on a simulated clock, and reports made of it."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vavl_bench.clock import SimulatedClock
from vavl_bench.plan import MeasurementSpec
from vavl_bench.steady_state import WindowSettings
from vavl_runtime.backends.base import Arrays
from vavl_runtime.backends.fake import FakeBackend
from vavl_runtime.bundle import PACKAGED_BUNDLE

QUICK = WindowSettings(warm_up_s=0.1, warm_up_queries=2, window_s=0.5, tolerance=0.05, windows=10, limit_s=30.0)


class SlowBackend(FakeBackend):
    """Answers with zeros after a known time has passed on a simulated clock.

    Args:
        clock: The clock to move.
        durations: Seconds of each run, one after the other.
    """

    def __init__(self, clock: SimulatedClock, durations: Iterable[float]) -> None:
        super().__init__()
        self._clock = clock
        self._durations = iter(durations)

    def run(self, name: str, inputs: Arrays) -> dict[str, NDArray[Any]]:
        self._clock.advance(next(self._durations))
        return super().run(name, inputs)


def work(clock: SimulatedClock, durations: Iterable[float]) -> Callable[[], None]:
    """A query that takes each duration in turn."""
    waiting = iter(durations)
    return lambda: clock.advance(next(waiting))


def always(seconds: float) -> Iterator[float]:
    while True:
        yield seconds


def jittered(typical_s: float, seed: int, jitter: float = 0.03) -> Iterator[float]:
    """Durations as machines give them: log-normal, with a slow drift and now and then a hiccup."""
    generator = np.random.default_rng(seed)
    drift = 1.0
    while True:
        drift = 1 + 0.9 * (drift - 1) + 0.002 * generator.standard_normal()
        hiccup = 5.0 if generator.random() < 0.01 else 1.0
        yield float(typical_s * drift * hiccup * np.exp(jitter * generator.standard_normal()))


def spec(**changes: Any) -> MeasurementSpec:
    """A measurement of the packaged bundle; the audio path's graph by default."""
    fields: dict[str, Any] = {
        "bundle": PACKAGED_BUNDLE,
        "scope": "graph",
        "subject": "audio",
        "scenario": "single-stream",
        "device": "cpu",
        "backend": "onnxruntime",
        "precision": "fp32",
        "threads": 1,
        "batch": 1,
        "seconds": 1.0,
        "clip": None,
        "bound_ms": 50.0,
        "windows": QUICK,
    }
    return MeasurementSpec(**fields | changes)

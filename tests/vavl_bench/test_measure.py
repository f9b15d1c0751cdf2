"""A measurement, measured on work of known duration: every scope, scenario and figure."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.vavl_bench.fakes import SlowBackend, always, spec
from vavl_bench.clock import SimulatedClock, SystemClock
from vavl_bench.measure import measure_one
from vavl_bench.schema import Measurement, Metrics
from vavl_bench.statistics import percentile
from vavl_bench.steady_state import WindowSettings
from vavl_bench.workloads import DEFAULT_CLIP
from vavl_runtime.backends.base import Arrays
from vavl_runtime.backends.fake import FakeBackend
from vavl_runtime.errors import BackendUnavailableError, InputError, VariantMissingError


def metrics(measurement: Measurement) -> Metrics:
    assert measurement.metrics is not None
    return measurement.metrics


def test_a_known_distribution_is_measured_exactly() -> None:
    """Of a hundred queries five take 30 ms, two 200 ms and the others 10 ms."""
    clock = SimulatedClock()
    cycle = [0.2 if i in (21, 57) else 0.03 if i % 20 == 9 else 0.01 for i in range(100)]
    measurement = measure_one(spec(), clock, SlowBackend(clock, itertools.cycle(cycle)))
    measured = metrics(measurement)
    assert measured.stability.verdict == "steady"
    assert measured.latency.p50_ms == pytest.approx(10, rel=0.02)
    assert measured.latency.p90_ms == pytest.approx(10, rel=0.02)
    assert measured.latency.p95_ms == pytest.approx(30, rel=0.02)
    assert measured.latency.p99_ms == pytest.approx(200, rel=0.02)
    assert measured.latency.max_ms == pytest.approx(200, rel=0.02)
    assert measured.throughput.clips_per_s == pytest.approx(1000 / measured.latency.mean_ms, rel=0.02)
    assert sum(len(window.latencies_ms) for window in measured.windows) == measured.latency.count
    assert measured.first_result_ms - measured.load_ms == pytest.approx(10)


def test_batches_and_lengths_count_in_the_throughput() -> None:
    clock = SimulatedClock()
    measurement = measure_one(
        spec(subject="audio_visual", batch=4, seconds=2.0), clock, SlowBackend(clock, always(0.1))
    )
    throughput = metrics(measurement).throughput
    assert throughput.clips_per_s == pytest.approx(40)
    assert throughput.frames_per_s == pytest.approx(40 * 2 * 25)
    assert throughput.real_time_factor == pytest.approx(1 / 80)


@pytest.mark.parametrize("graph", ["audio_encoder", "face_encoder", "pnet", "rnet", "onet", "visual"])
def test_every_graph_can_be_fed(graph: str) -> None:
    clock = SimulatedClock()
    measurement = measure_one(spec(subject=graph, batch=2), clock, SlowBackend(clock, always(0.05)))
    assert metrics(measurement).latency.p50_ms == pytest.approx(50)


@pytest.mark.parametrize(
    ("path", "graphs"),
    [
        ("audio", {"audio_encoder", "audio"}),
        ("visual", {"face_encoder", "visual"}),
        ("audio_visual", {"audio_encoder", "face_encoder", "audio_visual"}),
    ],
)
def test_the_model_scope_is_encoders_and_path(path: str, graphs: set[str]) -> None:
    clock = SimulatedClock()
    backend = SlowBackend(clock, always(0.01))
    measurement = measure_one(spec(scope="model", subject=path, batch=2), clock, backend)
    assert set(backend.calls) == graphs
    assert measurement.key.media.seconds == 1.0
    assert measurement.key.media.frames == (None if path == "audio" else 25)
    assert measurement.key.backend == "fake"


def test_the_clip_scope_counts_the_stages() -> None:
    settings = WindowSettings(warm_up_s=0, warm_up_queries=1, window_s=0.001, windows=3, tolerance=1e9)
    measurement = measure_one(spec(scope="clip", clip=DEFAULT_CLIP, subject="audio", windows=settings))
    budget = metrics(measurement).budget
    assert budget is not None
    assert budget.covered > 0.9
    assert budget.busy_ms["MainThread"].keys() >= {"decode_audio", "resample", "audio_encoder", "path", "post"}
    assert measurement.key.media.file == "astronaut.mp4"
    assert measurement.key.media.seconds == pytest.approx(3.2, abs=0.2)


def test_the_server_scenario_gives_a_rate() -> None:
    clock = SimulatedClock()
    measurement = measure_one(spec(scenario="server", bound_ms=50.0), clock, SlowBackend(clock, always(0.01)))
    server = metrics(measurement).server
    assert server is not None
    assert 30 < server.highest_rate_per_s < 100
    assert metrics(measurement).latency.p99_ms <= 50
    assert metrics(measurement).stability.verdict == "open_loop"


def test_multi_stream_is_a_query_of_several_clips() -> None:
    clock = SimulatedClock()
    measurement = measure_one(spec(scenario="multi-stream", batch=8), clock, SlowBackend(clock, always(0.08)))
    assert metrics(measurement).latency.p99_ms == pytest.approx(80)
    assert metrics(measurement).throughput.clips_per_s == pytest.approx(100)


def test_memory_of_this_process_is_measured() -> None:
    clock = SimulatedClock()
    memory = metrics(measure_one(spec(), clock, SlowBackend(clock, always(0.1)))).memory
    assert memory.resident_mib.value is not None and memory.resident_mib.value > 10
    assert memory.peak_mib.value is not None and memory.peak_mib.value >= memory.resident_mib.value
    assert memory.device_mib.reason == "no GPU in use"


@pytest.mark.parametrize(
    ("changes", "error", "text"),
    [
        ({"subject": "nonsense"}, InputError, "graph nonsense: not in bundle"),
        ({"seconds": 60.0}, InputError, r"got 60 s, expected 0\.085 to 12 s"),
        ({"scope": "model", "seconds": None}, InputError, "got no length of the media"),
        ({"scope": "clip"}, InputError, "got no media file"),
        ({"device": "auto"}, InputError, "auto, which is not allowed in benchmarks"),
        ({"precision": "int4"}, InputError, "precision: got 'int4'"),
        ({"precision": "bf16"}, VariantMissingError, "has no bf16"),
    ],
)
def test_what_makes_no_sense_is_refused(changes: dict[str, object], error: type[Exception], text: str) -> None:
    clock = SimulatedClock()
    with pytest.raises(error, match=text):
        measure_one(spec(**changes), clock, SlowBackend(clock, always(0.01)))


def test_a_missing_device_is_no_fallback() -> None:
    with pytest.raises(BackendUnavailableError, match="cuda:99"):
        measure_one(spec(device="cuda:99"))


def test_a_clip_that_takes_another_path_is_refused(tmp_path: Path) -> None:
    import wave

    silent_film = tmp_path / "sound.wav"
    with wave.open(str(silent_film), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes((1000 * np.sin(np.arange(16_000))).astype("<i2").tobytes())
    with pytest.raises(InputError, match=r"took the path audio, expected audio_visual .*no_video_stream"):
        measure_one(spec(scope="clip", clip=silent_film, subject="audio_visual"))


class Sleeper(FakeBackend):
    """Really sleeps, and keeps for how long: what the machine adds to a sleep is not the harness's fault."""

    def __init__(self, clock: SystemClock, durations: Iterator[float]) -> None:
        super().__init__()
        self._clock = clock
        self._durations = durations
        self.slept: list[float] = []

    def run(self, name: str, inputs: Arrays) -> dict[str, NDArray[Any]]:
        outputs = super().run(name, inputs)
        begun = self._clock.now()
        self._clock.wait_until(begun + next(self._durations))
        self.slept.append(self._clock.now() - begun)
        return outputs


@pytest.mark.slow
def test_sleeping_is_measured_on_the_real_clock() -> None:
    clock = SystemClock()
    sleeper = Sleeper(clock, itertools.cycle([0.02] * 19 + [0.05]))
    measured = metrics(measure_one(spec(), clock, sleeper))
    slept = sleeper.slept[-measured.latency.count :]
    for share, found in ((50, measured.latency.p50_ms), (99, measured.latency.p99_ms)):
        assert found == pytest.approx(1000 * percentile(slept, share), rel=0.02)
    assert measured.throughput.clips_per_s == pytest.approx(len(slept) / sum(slept), rel=0.02)

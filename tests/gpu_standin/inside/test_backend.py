"""The backend on ONNX Runtime's CUDA provider: what is kept, which thread works, and what happens when CUDA refuses."""

import gc
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.gpu_standin.inside.standin import Difference, Standin
from tests.runtime.made_media import tone
from vavl_runtime import ArrayClip, Recognizer
from vavl_runtime.backends.ort.gpu import OnnxRuntimeGpuBackend
from vavl_runtime.backends.ort.io_binding import MAX_CAPTURE_ATTEMPTS, MAX_KEPT_SHAPES
from vavl_runtime.bundle import PACKAGED_BUNDLE, open_bundle
from vavl_runtime.devices.gpu import Gpu
from vavl_runtime.errors import BackendUnavailableError, GraphFailedError, ManifestError

GRAPH = "pnet"  # one input, two outputs, any height and width


def load(backend: OnnxRuntimeGpuBackend, name: str = GRAPH) -> None:
    with open_bundle(PACKAGED_BUNDLE) as bundle:
        backend.load(name, bundle.graph_file(name), bundle.manifest.graphs[name])


def image(side: int) -> dict[str, NDArray[Any]]:
    return {"pixels": np.ones((1, side, 30, 3), np.float32)}


@pytest.fixture
def run(backend: OnnxRuntimeGpuBackend) -> Callable[[int], dict[str, NDArray[Any]]]:
    load(backend)
    return lambda side: backend.run(GRAPH, image(side))


def test_the_least_recently_used_shape_gives_way(run: Callable[[int], Any], standin: Standin) -> None:
    sides = range(20, 20 + MAX_KEPT_SHAPES)
    for _ in range(2):
        for side in sides:
            run(side)
    seen = Difference(standin)
    pinned = standin.count("live_pinned_blocks")
    run(sides[0])  # now the second is the least recently used
    for _ in range(2):
        run(100)
    assert (seen.captures, seen.replays) == (1, 2), "a shape beyond the kept ones is captured, too"
    assert standin.count("live_pinned_blocks") == pinned, "its buffers take the place of others"
    seen.restart()
    for side in (sides[0], 100, *sides[2:]):
        run(side)
    assert (seen.captures, seen.replays) == (0, MAX_KEPT_SHAPES)
    run(sides[1])
    assert seen.captures == 1
    run(sides[1])
    assert seen.replays == MAX_KEPT_SHAPES + 2


def test_what_onnxruntime_keeps_of_an_evicted_shape(
    run: Callable[[int], Any], backend: OnnxRuntimeGpuBackend, standin: Standin
) -> None:
    """The captured graph, until the session is closed, but no device memory: later shapes use that of earlier ones."""
    rounds = []
    for first in range(20, 120, 20):
        for side in range(first, first + MAX_KEPT_SHAPES):
            for _ in range(2):
                run(side % 20 + 30)  # the same 16 sizes in each round
        rounds.append((standin.count("live_device_bytes"), standin.count("live_executables")))
        for side in range(200, 200 + MAX_KEPT_SHAPES):
            for _ in range(2):
                run(side)
    assert rounds[-1][0] == rounds[1][0]
    assert [graphs for _, graphs in rounds] == [16, 48, 80, 112, 128], "bounded by MAX_CAPTURED_SHAPES"
    assert "except more than 128 shapes of pnet" in str(backend.info)
    backend.close()
    gc.collect()
    assert standin.count("live_executables") == 0


def test_threads_share_what_was_captured(
    run: Callable[[int], Any], backend: OnnxRuntimeGpuBackend, standin: Standin
) -> None:
    for _ in range(2):
        run(40)
    seen = Difference(standin)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(run, [40] * 32))
    assert (seen.captures, seen.replays, seen.working_threads) == (0, 32, 0)


def test_backends_of_one_process_do_not_break_each_others_captures(gpu: Gpu, standin: Standin) -> None:
    """Loading and first runs allocate; during a capture CUDA refuses that to every thread."""
    standin.pause_in_captures(10)
    seen = Difference(standin)
    started = threading.Barrier(2)

    def work(offset: int) -> str:
        backend = OnnxRuntimeGpuBackend(gpu)
        started.wait()
        for name in ("audio", "visual", "audio_visual", "face_encoder"):
            load(backend, name)
        load(backend)
        for side in range(20, 26):
            for _ in range(2):
                backend.run(GRAPH, image(side + offset))
        info = str(backend.info)
        backend.close()
        return info

    with ThreadPoolExecutor(2) as threads:
        infos = list(threads.map(work, (0, 100)))
    assert all(info.endswith(", CUDA graphs") for info in infos)
    assert (seen.captures, seen.broken_captures) == (12, 0)


@pytest.mark.parametrize(("refusal", "call"), [("fail_capture", 1), ("fail_launch_in_capture", 1)])
def test_a_failed_capture_runs_without_a_graph_and_is_counted(
    refusal: str, call: int, run: Callable[[int], Any], backend: OnnxRuntimeGpuBackend, standin: Standin
) -> None:
    run(40)
    standin.refuse(refusal, call)
    seen = Difference(standin)
    assert run(40)["probability"].shape == run(40)["probability"].shape
    assert (seen.broken_captures, seen.captures, seen.replays) == (1, 2, 1), "the next run captures"
    assert str(backend.info).endswith("CUDA graphs except 1 failed captures of pnet")
    run(40)
    assert seen.replays == 2


def test_a_shape_that_is_never_captured_is_not_tried_for_ever(
    run: Callable[[int], Any], backend: OnnxRuntimeGpuBackend, standin: Standin
) -> None:
    run(40)
    seen = Difference(standin)
    for _ in range(MAX_CAPTURE_ATTEMPTS + 3):
        standin.refuse("fail_capture")
        run(40)
    standin.accept_all()
    run(40)
    assert (seen.captures, seen.broken_captures) == (MAX_CAPTURE_ATTEMPTS, MAX_CAPTURE_ATTEMPTS)
    assert f"{MAX_CAPTURE_ATTEMPTS} failed captures of pnet" in str(backend.info)


@pytest.mark.parametrize("refusal", ["fail_malloc", "fail_pinned"])
def test_without_memory_for_buffers_a_run_goes_on(
    refusal: str, run: Callable[[int], Any], backend: OnnxRuntimeGpuBackend, standin: Standin
) -> None:
    side = 6_000  # larger than what ONNX Runtime keeps for buffers
    run(side)
    pinned = standin.count("live_pinned_blocks")
    standin.refuse(refusal, 2 if refusal == "fail_pinned" else -1)  # ONNX Runtime tries again with less
    run(side)
    standin.accept_all()
    assert standin.count("live_pinned_blocks") == pinned
    assert "1 failed captures of pnet" in str(backend.info)
    seen = Difference(standin)
    run(side)
    assert seen.captures == 1


def test_a_run_that_fails_without_capture_is_an_error(
    run: Callable[[int], Any], backend: OnnxRuntimeGpuBackend, standin: Standin
) -> None:
    standin.refuse("fail_malloc")
    with pytest.raises(GraphFailedError, match="graph pnet: ONNX Runtime fails on cuda:0 .*(memory|allocate)"):
        run(2_000)
    run(2_000)


@pytest.mark.parametrize("call", [1, 5, 20])
def test_an_open_that_runs_out_of_memory_leaves_nothing(
    call: int, backend: OnnxRuntimeGpuBackend, standin: Standin
) -> None:
    before = standin.live() | {"bytes": standin.count("live_device_bytes")}
    standin.refuse("fail_malloc", call)
    with pytest.raises(BackendUnavailableError, match="ONNX Runtime refuses the graph") as error:
        load(backend, "face_encoder")
    assert standin.live() | {"bytes": standin.count("live_device_bytes")} == before, error
    load(backend, "face_encoder")


def test_an_open_that_is_refused_leaves_nothing(backend: OnnxRuntimeGpuBackend, standin: Standin) -> None:
    before = standin.live() | {"bytes": standin.count("live_device_bytes")}
    with open_bundle(PACKAGED_BUNDLE) as bundle, pytest.raises(ManifestError, match="the manifest says") as error:
        backend.load("audio", bundle.graph_file("audio"), bundle.manifest.graphs["visual"])
    assert standin.live() | {"bytes": standin.count("live_device_bytes")} == before, error


def test_a_closed_backend_says_so(backend: OnnxRuntimeGpuBackend) -> None:
    backend.close()
    backend.close()
    with pytest.raises(BackendUnavailableError, match="the backend is closed"):
        load(backend)


_LEAVES = """
import sys, threading
import numpy as np
from tests.gpu_standin.inside.test_backend import GRAPH, image, load
from vavl_runtime.backends.ort.gpu import OnnxRuntimeGpuBackend
from vavl_runtime.devices.gpu import probe_driver
backend = OnnxRuntimeGpuBackend(probe_driver().gpus[0])
load(backend)
def work():
    for _ in range(1000):
        backend.run(GRAPH, image(40))
if sys.argv[1] == "busy":
    threading.Thread(target=work, daemon=True).start()
class Late:
    def __del__(self, close=backend.close):
        close()  # when threads no longer run
if sys.argv[1] == "late":
    late = Late()
backend.run(GRAPH, image(40))
"""


@pytest.mark.parametrize("how", ["idle", "busy", "late"])
def test_a_program_ends_without_closing(how: str) -> None:
    done = subprocess.run([sys.executable, "-c", _LEAVES, how], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    if how != "busy":  # the other thread may say that the backend was closed under it
        assert done.stderr == ""


def test_a_whole_clip(gpu: Gpu, standin: Standin) -> None:
    """Nothing is found in it, since nothing is computed; all stages run."""
    frames = np.zeros((10, 64, 64, 3), np.uint8)
    clip = ArrayClip(audio=tone(2.0), frames=frames, times_s=np.arange(10) / 5)
    with Recognizer(device="cuda:0") as recognizer:
        result = recognizer.predict(clip)
    assert "cuda:0 (Stand-in H100), CUDA graphs" in str(result.backend)


def test_sources(standin: Standin) -> None:
    """The package is the one for GPUs, and nothing loaded a real CUDA."""
    maps = Path("/proc/self/maps").read_text()
    loaded = {Path(line.split()[-1]) for line in maps.splitlines() if "/lib" in line}
    assert {path.name for path in loaded if path.name.startswith("libcudart")} == {"libcudart.so.13"}
    assert any(path.name == "libonnxruntime_providers_cuda.so" for path in loaded)

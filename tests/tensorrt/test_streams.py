"""Sound and picture run at the same time, and nothing runs while a graph is loaded."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.tensorrt.conftest import Machine
from tests.tensorrt.engine_folder import build
from tests.tensorrt.graph_inputs import Inputs, load, tokens
from vavl_runtime import Recognizer
from vavl_runtime.backends.trt.backend import TensorRtBackend
from vavl_runtime.bundle import Bundle

MakeMachine = Callable[..., Machine]


def test_sound_and_picture_run_on_streams_of_their_own(folder: Path, bundle: Bundle, machine: MakeMachine) -> None:
    cuda = machine("11.4.1").cuda
    build(folder, graphs=("audio_encoder", "face_encoder"))
    backend = TensorRtBackend(0, bundle)
    load(backend, bundle, "audio_encoder", "face_encoder")
    sound: Inputs = {"waveform": np.ones((1, 9000), np.float32), "samples": np.array([9000], np.int64)}
    faces: Inputs = {"faces": np.ones((2, 224, 224, 3), np.uint8)}
    expected = backend.run("audio_encoder", sound), backend.run("face_encoder", faces)
    assert len(cuda.used) == 2
    results: list[tuple[int, str, dict[str, NDArray[Any]]]] = []

    def ask(name: str, inputs: Inputs) -> None:
        results.extend((number, name, backend.run(name, inputs)) for number in range(3))

    threads = [
        threading.Thread(target=ask, args=item) for item in (("audio_encoder", sound), ("face_encoder", faces)) * 2
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 12
    for _, name, got in results:
        for key, value in expected[name == "face_encoder"].items():
            np.testing.assert_array_equal(got[key], value)


def test_sound_and_picture_of_a_clip_overlap(
    folder: Path, bundle: Bundle, machine: MakeMachine, example_clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = machine("10.16.2.10")
    build(folder)
    with Recognizer(folder, backend=TensorRtBackend(0, bundle)) as recognizer:
        expected = recognizer.predict(example_clip)  # loads, which nothing may run beside
        launch = world.cuda.cudaGraphLaunch
        faces_began, order = threading.Event(), []

        def watched(graph: Any, stream: Any) -> Any:
            thread = threading.current_thread().name
            order.append((thread, int(stream)))
            if thread == "sound":
                assert faces_began.wait(60), "nothing ran beside the sound"
            else:
                faces_began.set()
            return launch(graph, stream)

        monkeypatch.setattr(world.cuda, "cudaGraphLaunch", watched)
        result = recognizer.predict(example_clip)
    assert result.scores == expected.scores
    streams = {name: {stream for thread, stream in order if (thread == "sound") == (name == "sound")} for name in
               ("sound", "others")}  # fmt: skip
    assert len(streams["sound"]) == 1 and not streams["sound"] & streams["others"]
    assert result.budget.busy_s["sound"].keys() == {"audio_encoder"}
    assert not [thread for thread in threading.enumerate() if thread.name == "sound"]


def test_nothing_runs_while_a_graph_is_loaded(
    folder: Path, bundle: Bundle, machine: MakeMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory that is allocated meanwhile may break a capture, and the graph would run without one from then on."""
    cuda = machine("10.16.2.10").cuda
    build(folder, graphs=("audio", "audio_encoder"))
    backend = TensorRtBackend(0, bundle)
    load(backend, bundle, "audio_encoder")
    sound: Inputs = {"waveform": np.ones((1, 9000), np.float32), "samples": np.array([9000], np.int64)}
    began, may_end = threading.Event(), threading.Event()
    begin = cuda.cudaStreamBeginCapture

    def capture(stream: Any, mode: Any) -> Any:
        began.set()
        result = begin(stream, mode)
        assert may_end.wait(60)
        return result

    monkeypatch.setattr(cuda, "cudaStreamBeginCapture", capture)
    allocated = cuda.calls["cudaMalloc"]
    runs = threading.Thread(target=backend.run, args=("audio_encoder", sound))
    loads = threading.Thread(target=load, args=(backend, bundle, "audio"))
    runs.start()
    assert began.wait(60)
    loads.start()
    loads.join(0.3)
    assert loads.is_alive() and cuda.calls["cudaMalloc"] == allocated
    may_end.set()
    runs.join(60)
    loads.join(60)
    assert backend.run("audio", tokens(20))["prediction"].shape == (1, 6)
    assert str(backend.info).endswith("CUDA graphs")
    backend.close()

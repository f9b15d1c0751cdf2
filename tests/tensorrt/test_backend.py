"""The native backend answers as ONNX Runtime does, and a steady state allocates and captures nothing."""

import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.tensorrt.conftest import Machine
from tests.tensorrt.engine_folder import build
from tests.tensorrt.fake_tensorrt import VERSIONS
from vavl_export.golden import read_golden
from vavl_runtime import Recognizer
from vavl_runtime.backends.ort.cpu import OnnxRuntimeBackend
from vavl_runtime.backends.trt import backend as module
from vavl_runtime.backends.trt.backend import TensorRtBackend
from vavl_runtime.backends.trt.profile import MAX_KEPT_SHAPES
from vavl_runtime.bundle import PACKAGED_BUNDLE, Bundle, open_bundle
from vavl_runtime.devices.gpu import Driver
from vavl_runtime.errors import BackendUnavailableError, EngineError, InvalidArrayError

MakeMachine = Callable[..., Machine]
Inputs = dict[str, NDArray[Any]]
MEMORY_CALLS = ("cudaMalloc", "cudaMallocHost", "cudaFree", "cudaFreeHost")
PATHS = ("audio", "visual", "audio_visual")


@pytest.fixture
def bundle(folder: Path) -> Iterator[Bundle]:
    with open_bundle(folder) as opened:
        yield opened


def load(backend: Any, bundle: Bundle, *names: str) -> None:
    for name in names:
        backend.load(name, bundle.graph_file(name), bundle.manifest.graphs[name])


def tokens(count: int, path: str = "audio") -> Inputs:
    width = open_bundle(PACKAGED_BUNDLE).manifest.graphs[path].inputs[0].shape[-1]
    features = np.random.default_rng(count).standard_normal((1, count, width), np.float32)
    return {f"{path}_features": features, f"{path}_lengths": np.array([count], np.int64)}


def test_golden_vectors_on_every_version(folder: Path, bundle: Bundle, machine: MakeMachine) -> None:
    names = ("audio_encoder", "face_encoder", "audio", "visual", "audio_visual", "rnet", "onet")
    for version in VERSIONS:
        machine(version)
        build(folder, batch=2)
        backend = TensorRtBackend(0, bundle)
        load(backend, bundle, *names)
        for name in names:
            for path in sorted((folder / "golden").glob(f"{name}.*.npz")):
                inputs, expected = read_golden(path)
                got = backend.run(name, inputs)
                for key, value in expected.items():
                    assert got[key].shape == value.shape
                    np.testing.assert_allclose(got[key], value, atol=1e-4 * np.abs(value).max())
        backend.close()


def test_padded_lengths_and_rows_change_nothing(folder: Path, bundle: Bundle, machine: MakeMachine) -> None:
    machine("10.16.2.10")
    build(folder)
    names = ("audio_encoder", "face_encoder", "audio_visual", "pnet", "onet")
    backend, reference = TensorRtBackend(0, bundle), OnnxRuntimeBackend(1)
    load(backend, bundle, *names)
    load(reference, bundle, *names)
    random = np.random.default_rng(0)
    sound = 0.1 * random.standard_normal((1, 20_123), np.float32)
    both = tokens(33) | tokens(70, "visual")
    asked: list[tuple[str, Inputs]] = [
        ("audio_encoder", {"waveform": sound, "samples": np.array([20_123], np.int64)}),
        ("face_encoder", {"faces": random.integers(0, 256, (3, 224, 224, 3), np.uint8)}),
        ("face_encoder", {"faces": random.integers(0, 256, (17, 224, 224, 3), np.uint8)}),  # more than fit at once
        ("audio_visual", both),
        ("pnet", {"pixels": 255 * random.random((1, 50, 31, 3), np.float32)}),
        ("onet", {"pixels": 255 * random.random((300, 48, 48, 3), np.float32)}),
    ]
    for name, inputs in asked:
        got, expected = backend.run(name, inputs), reference.run(name, inputs)
        assert got.keys() == expected.keys()
        for key, value in expected.items():
            assert got[key].shape == value.shape
            np.testing.assert_allclose(got[key], value, atol=2e-4 * max(1.0, float(np.abs(value).max())))
    backend.close()


@pytest.mark.parametrize("version", VERSIONS)
def test_a_steady_state_launches_one_graph_and_allocates_nothing(
    version: str, folder: Path, bundle: Bundle, machine: MakeMachine
) -> None:
    cuda = machine(version).cuda
    build(folder, graphs=("audio",))
    backend = TensorRtBackend(0, bundle)
    load(backend, bundle, "audio")
    loaded = Counter({name: cuda.calls[name] for name in MEMORY_CALLS})
    for count in (20, 190, 250, 600):  # four shapes in two buckets
        backend.run("audio", tokens(count))
    assert cuda.calls["cudaStreamBeginCapture"] == 4
    before = Counter(cuda.calls)
    for count in (20, 190, 25, 250, 600, 599):  # the same shapes, once rounded
        backend.run("audio", tokens(count))
    steady = Counter(cuda.calls)
    steady.subtract(before)
    assert +steady == Counter({"cudaSetDevice": 6, "cudaGraphLaunch": 6, "cudaStreamSynchronize": 6})
    assert {name: cuda.calls[name] for name in MEMORY_CALLS} == loaded
    backend.close()


def test_a_new_shape_allocates_nothing_either(folder: Path, bundle: Bundle, machine: MakeMachine) -> None:
    cuda = machine("10.3.0").cuda
    build(folder, graphs=("visual",))
    backend = TensorRtBackend(0, bundle)
    load(backend, bundle, "visual")
    loaded = sum(cuda.calls[name] for name in MEMORY_CALLS)
    for count in range(1, 1501, 149):
        backend.run("visual", tokens(count, "visual"))
    assert sum(cuda.calls[name] for name in MEMORY_CALLS) == loaded


def test_closing_frees_everything(folder: Path, bundle: Bundle, machine: MakeMachine) -> None:
    cuda = machine("10.16.2.10").cuda
    build(folder, graphs=("audio", "audio_encoder"))
    backend = TensorRtBackend(0, bundle)
    load(backend, bundle, "audio", "audio_encoder")
    backend.run("audio", tokens(50))
    assert cuda.memory and cuda.streams and cuda.graphs == 1
    backend.close()
    assert not cuda.memory and not cuda.streams and cuda.graphs == 0


def test_kept_graphs_are_bounded(folder: Path, bundle: Bundle, machine: MakeMachine) -> None:
    cuda = machine("11.4.1").cuda
    build(folder, graphs=("pnet",))
    backend = TensorRtBackend(0, bundle)
    load(backend, bundle, "pnet")
    for side in range(20, 20 + MAX_KEPT_SHAPES + 5):
        backend.run("pnet", {"pixels": np.zeros((1, side, side, 3), np.float32)})
    assert cuda.graphs == MAX_KEPT_SHAPES


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


def test_results_survive_the_next_run(folder: Path, bundle: Bundle, machine: MakeMachine) -> None:
    machine("11.4.1")
    build(folder, graphs=("audio",))
    backend = TensorRtBackend(0, bundle)
    load(backend, bundle, "audio")
    first = backend.run("audio", tokens(40))
    kept = first["prediction"].copy()
    backend.run("audio", tokens(41))
    np.testing.assert_array_equal(first["prediction"], kept)


def test_a_graph_that_cannot_be_captured_runs_and_is_named(
    folder: Path, bundle: Bundle, machine: MakeMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = machine("11.4.1")
    build(folder, graphs=("audio",))
    context = world.tensorrt.IExecutionContext
    execute = context.execute_async_v3
    monkeypatch.setattr(
        context, "execute_async_v3", lambda self, s: not world.cuda.is_capturing(s) and execute(self, s)
    )
    backend = TensorRtBackend(0, bundle)
    load(backend, bundle, "audio")
    first, second = (backend.run("audio", tokens(40))["prediction"] for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert str(backend.info) == "TensorRT 11.4.1 cuda:0 (Orin), CUDA graphs except audio"
    assert world.cuda.calls["cudaStreamBeginCapture"] == 1


def test_a_stream_that_cannot_be_captured_yet_is_asked_again(
    folder: Path, bundle: Bundle, machine: MakeMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TensorRT-RTX compiles kernels in the background."""
    world = machine("11.4.1")
    build(folder, graphs=("audio",))
    answers = iter([False, False, True])
    monkeypatch.setattr(
        world.tensorrt.IExecutionContext, "is_stream_capturable", lambda self, stream: next(answers), raising=False
    )
    backend = TensorRtBackend(0, bundle)
    load(backend, bundle, "audio")
    for captured in (0, 0, 1, 1):
        backend.run("audio", tokens(40))
        assert world.cuda.calls["cudaStreamBeginCapture"] == captured
    assert str(backend.info) == "TensorRT 11.4.1 cuda:0 (Orin), CUDA graphs"


def test_a_stripped_engine_gets_its_weights_from_the_bundle(folder: Path, bundle: Bundle, machine: MakeMachine) -> None:
    machine("10.16.2.10")
    build(folder, graphs=("audio",), stripped=True)
    backend = TensorRtBackend(0, bundle)
    load(backend, bundle, "audio")
    assert backend.run("audio", tokens(40))["prediction"].sum() == pytest.approx(1.0, abs=1e-5)


def test_a_version_compatible_engine_runs_on_a_newer_version(
    folder: Path, bundle: Bundle, machine: MakeMachine
) -> None:
    machine("10.16.2.10")
    build(folder, graphs=("audio",), version_compatible=True)
    machine("11.4.1")
    backend = TensorRtBackend(0, bundle)
    load(backend, bundle, "audio")
    assert backend.run("audio", tokens(40))["prediction"].shape == (1, 6)


def test_the_recogniser_answers_as_on_onnx_runtime(
    folder: Path, bundle: Bundle, machine: MakeMachine, example_clip: Path, recognizer: Recognizer
) -> None:
    machine("10.3.0")
    build(folder)
    with Recognizer(folder, backend=TensorRtBackend(0, bundle)) as ours:
        got = ours.predict(example_clip, all_paths=True).to_dict()
    expected = recognizer.predict(example_clip, all_paths=True).to_dict()
    for path in PATHS:
        for label, score in expected["paths"][path]["scores"].items():
            assert got["paths"][path]["scores"][label] == pytest.approx(score, abs=2e-3)


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


class TestRefusals:
    """What does not work says why."""

    def test_too_long(self, folder: Path, bundle: Bundle, machine: MakeMachine) -> None:
        machine("10.16.2.10")
        build(folder, graphs=("audio_encoder",))
        backend = TensorRtBackend(0, bundle)
        load(backend, bundle, "audio_encoder")
        inputs: Inputs = {"waveform": np.zeros((1, 200_000), np.float32), "samples": np.array([200_000], np.int64)}
        with pytest.raises(InvalidArrayError, match=r"got inputs .*200000.*, its engines serve .*192000.*--buckets"):
            backend.run("audio_encoder", inputs)

    def test_wrong_inputs(self, folder: Path, bundle: Bundle, machine: MakeMachine) -> None:
        machine("10.16.2.10")
        build(folder, graphs=("audio",))
        backend = TensorRtBackend(0, bundle)
        load(backend, bundle, "audio")
        with pytest.raises(InvalidArrayError, match="graph audio: got inputs"):
            backend.run("audio", {})

    def test_no_engines(self, bundle: Bundle, machine: MakeMachine) -> None:
        machine("10.16.2.10")
        with pytest.raises(EngineError, match="the bundle has no engines; build them on this machine"):
            TensorRtBackend(0, bundle)
        with pytest.raises(EngineError, match=rf"vavl-export tensorrt {re.escape(str(bundle.root))} --precision fp16$"):
            TensorRtBackend(0, bundle, "fp16")
        with pytest.raises(EngineError, match="needs a bundle"):
            TensorRtBackend(0, None)

    def test_only_engines_of_another_machine(self, folder: Path, bundle: Bundle, machine: MakeMachine) -> None:
        machine("10.3.0")
        build(folder, graphs=("audio",))
        machine("10.16.2.10")
        with pytest.raises(EngineError, match=r"built with TensorRT 10\.3\.0, this machine has 10\.16\.2\.10; build"):
            TensorRtBackend(0, bundle)

    def test_no_engine_of_this_graph(self, folder: Path, bundle: Bundle, machine: MakeMachine) -> None:
        machine("10.16.2.10")
        build(folder, graphs=("audio",))
        with pytest.raises(EngineError, match=r"graph visual \(fp32\): no TensorRT engine .*none was built"):
            load(TensorRtBackend(0, bundle), bundle, "visual")

    def test_no_gpu_is_found_out_before_tensorrt_is_touched(
        self, folder: Path, bundle: Bundle, machine: MakeMachine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fake = machine("10.16.2.10").tensorrt
        build(folder, graphs=("audio",))
        monkeypatch.setattr(module, "probe_driver", lambda: Driver(None, (), "no NVIDIA driver"))
        monkeypatch.delattr(fake, "Runtime")
        with pytest.raises(BackendUnavailableError, match="device cuda:0: no NVIDIA driver"):
            TensorRtBackend(0, bundle)

    def test_a_plan_that_tensorrt_refuses(
        self, folder: Path, bundle: Bundle, machine: MakeMachine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fake = machine("10.16.2.10").tensorrt
        build(folder, graphs=("audio",))
        monkeypatch.setattr(fake.Runtime, "_version", "10.16.1")
        backend = TensorRtBackend(0, bundle)
        with pytest.raises(EngineError, match=r"engine\.plan: TensorRT .* refuses .*not compatible with this version"):
            load(backend, bundle, "audio")

    def test_memory_that_runs_out(self, folder: Path, bundle: Bundle, machine: MakeMachine) -> None:
        cuda = machine("10.16.2.10").cuda
        build(folder, graphs=("audio",))
        backend = TensorRtBackend(0, bundle)
        cuda.left = 5000
        with pytest.raises(BackendUnavailableError, match="fails with cudaErrorMemoryAllocation; close other"):
            load(backend, bundle, "audio")

    def test_cuda_python_is_missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from vavl_runtime.devices import cuda

        monkeypatch.setattr(cuda, "_MODULES", ("no_such_module",))
        with pytest.raises(BackendUnavailableError, match="cuda-python cannot be imported .*pip install cuda-python"):
            cuda.Cuda(0)

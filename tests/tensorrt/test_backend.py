"""The native backend answers as ONNX Runtime does, on every version and with every kind of engine."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.tensorrt.conftest import Machine
from tests.tensorrt.engine_folder import build
from tests.tensorrt.fake_tensorrt import VERSIONS
from tests.tensorrt.graph_inputs import Inputs, load, tokens
from vavl_runtime import Recognizer
from vavl_runtime.backends.ort.cpu import OnnxRuntimeBackend
from vavl_runtime.backends.trt.backend import TensorRtBackend
from vavl_runtime.backends.trt.engine_store import Engine
from vavl_runtime.bundle import Bundle
from vavl_runtime.bundle.golden import read_golden

MakeMachine = Callable[..., Machine]
PATHS = ("audio", "visual", "audio_visual")


def test_golden_vectors_on_every_version(folder: Path, bundle: Bundle, machine: MakeMachine) -> None:
    names = ("audio_encoder", "face_encoder", "audio", "visual", "audio_visual", "rnet", "onet")
    for version in VERSIONS:
        machine(version)
        build(folder, max_batch=2)
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
    assert backend.face_batch == 16  # of the largest profile
    backend.close()


def test_a_stripped_engine_gets_its_weights_from_the_bundle(folder: Path, bundle: Bundle, machine: MakeMachine) -> None:
    machine("10.16.2.10")
    build(folder, graphs=("audio",), strip_weights=True)
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


def test_several_processes_feed_the_engines(
    folder: Path, bundle: Bundle, machine: MakeMachine, example_clip: Path, recognizer: Recognizer
) -> None:
    machine("11.4.1")
    build(folder, max_batch=2)
    backend = TensorRtBackend(0, bundle)
    assert backend.most_clips("audio_encoder") == 1  # nobody knows yet
    with Recognizer(folder, backend=backend) as ours:
        results = list(ours.predict_many([example_clip] * 4, jobs=2))
        assert backend.most_clips("audio_encoder") == backend.most_clips("audio_visual") == 2
    expected = recognizer.predict(example_clip)
    for result in results:
        assert result.path == "audio_visual"
        assert result.scores == pytest.approx(expected.scores, abs=2e-3)


def test_a_plan_that_is_swapped_after_its_check_changes_nothing(
    folder: Path, bundle: Bundle, machine: MakeMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine("10.16.2.10")
    (engine,) = build(folder, graphs=("audio",))
    deserialize = TensorRtBackend._deserialize

    def swapped(self: TensorRtBackend, found: Engine, *rest: Any) -> Any:
        found.plan.write_bytes(b"something else")
        return deserialize(self, found, *rest)

    monkeypatch.setattr(TensorRtBackend, "_deserialize", swapped)
    backend, reference = TensorRtBackend(0, bundle), OnnxRuntimeBackend(1)
    for each in (backend, reference):
        load(each, bundle, "audio")
    assert engine.plan.read_bytes() == b"something else"
    got, expected = (each.run("audio", tokens(33)) for each in (backend, reference))
    for name, value in expected.items():
        np.testing.assert_allclose(got[name], value, atol=1e-4 * np.abs(value).max())
    backend.close()

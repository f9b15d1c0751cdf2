"""Which backend is made for which device and engine; nothing is replaced by something else unless ``auto`` was said."""

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import pytest
from typer.testing import CliRunner

from tests.runtime.fake_driver import FakeDriver, FakeGpu, Load, no_driver
from tests.runtime.fake_onnxruntime import CPU, CUDA, TENSORRT, FakeOnnxRuntime
from tests.runtime.gpu_graph import install
from tests.runtime.made_media import tone
from vavl_runtime import ArrayClip, Recognizer
from vavl_runtime.backends import choice
from vavl_runtime.backends.choice import BACKENDS, choose_backend
from vavl_runtime.backends.fake import FakeBackend
from vavl_runtime.backends.ort import providers as ort_providers
from vavl_runtime.backends.ort.cpu import OnnxRuntimeBackend
from vavl_runtime.backends.ort.gpu import OnnxRuntimeGpuBackend
from vavl_runtime.backends.trt import engine_store
from vavl_runtime.backends.trt import library as trt_library
from vavl_runtime.backends.trt.library import TensorRt
from vavl_runtime.bundle import Bundle, open_bundle
from vavl_runtime.bundle.manifest import REQUIRED_GRAPHS
from vavl_runtime.bundle.precision import PrecisionChoice
from vavl_runtime.cli.options import BackendName
from vavl_runtime.cli.run import app
from vavl_runtime.devices.gpu import probe_driver
from vavl_runtime.errors import BackendUnavailableError, InputError

GPU = FakeDriver(gpus=[FakeGpu(), FakeGpu("second")]).load


class _TensorRt(FakeBackend):
    """In place of the native TensorRT backend."""

    def __init__(self, device: int, bundle: Bundle | None, precision: PrecisionChoice) -> None:
        super().__init__(device=f"cuda:{device}")
        self.device, self.precision = device, precision


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> FakeOnnxRuntime:
    fake = FakeOnnxRuntime(lambda inputs: list(inputs.values()))
    fake.loadable.add(CPU)
    install(monkeypatch, fake)
    monkeypatch.setattr(ort_providers, "why_not", lambda name: "a library is missing")
    module = ModuleType("vavl_runtime.backends.trt.backend")
    module.TensorRtBackend = _TensorRt  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "vavl_runtime.backends.trt.backend", module)
    monkeypatch.setattr(trt_library, "find_tensorrt", lambda: TensorRt(None, "tensorrt", "10.13.3"))
    return fake


@pytest.fixture
def with_engines(bundle: Path) -> Path:
    (bundle / "engines").mkdir()
    return bundle


def test_auto_without_a_driver_is_the_cpu_and_says_why(runtime: FakeOnnxRuntime) -> None:
    chosen = choose_backend(threads=1, load=no_driver)
    assert isinstance(chosen.backend, OnnxRuntimeBackend) and not chosen.backend.info.on_gpu
    (reason,) = chosen.skipped_backends
    assert "no NVIDIA driver" in reason


def test_auto_with_a_gpu_is_cuda(runtime: FakeOnnxRuntime) -> None:
    chosen = choose_backend(load=GPU)
    assert isinstance(chosen.backend, OnnxRuntimeGpuBackend) and chosen.backend.info.on_gpu
    assert f"{CUDA} cuda:0" in str(chosen.backend.info)
    assert chosen.skipped_backends == (
        "tensorrt: no engines in the bundle; vavl-export tensorrt BUNDLE --precision fp32 builds them",
    )


def test_auto_with_engines_is_tensorrt(
    runtime: FakeOnnxRuntime, with_engines: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(
        engine_store, "find_engines", lambda bundle, machine, name, record: asked.append((name, machine.gpu))
    )
    with open_bundle(with_engines) as opened:
        chosen = choose_backend(bundle=opened, load=GPU)
    assert isinstance(chosen.backend, _TensorRt)
    assert (chosen.backend.info.on_gpu, chosen.skipped_backends) == (True, ())
    assert dict(asked) == dict.fromkeys(REQUIRED_GRAPHS, FakeGpu().name)


def test_auto_with_engines_that_do_not_fit_is_cuda_and_says_why(runtime: FakeOnnxRuntime, with_engines: Path) -> None:
    with open_bundle(with_engines) as opened:
        chosen = choose_backend(bundle=opened, load=GPU)
    assert isinstance(chosen.backend, OnnxRuntimeGpuBackend)
    (reason,) = chosen.skipped_backends
    assert "no TensorRT engine for this machine: none was built" in reason


def test_auto_with_a_gpu_that_does_not_work_is_the_cpu_and_says_why(runtime: FakeOnnxRuntime) -> None:
    runtime.loadable = {CPU}
    chosen = choose_backend(load=GPU)
    assert isinstance(chosen.backend, OnnxRuntimeBackend) and not chosen.backend.info.on_gpu
    assert any(f"does not start {CUDA}: a library is missing" in reason for reason in chosen.skipped_backends)


@pytest.mark.parametrize("engine", BACKENDS)
@pytest.mark.parametrize("load", [no_driver, FakeDriver(gpus=[]).load, FakeDriver(init=100).load])
def test_a_named_gpu_is_never_replaced(runtime: FakeOnnxRuntime, engine: str, load: Load) -> None:
    with pytest.raises(BackendUnavailableError, match=r"device cuda:0: .*device cpu") as caught:
        choose_backend("cuda:0", engine, load=load)
    assert caught.value.exit_code == 4


def test_a_named_gpu_whose_provider_does_not_start_is_never_replaced(runtime: FakeOnnxRuntime) -> None:
    runtime.loadable = {CPU}
    for engine in ("auto", "onnxruntime"):
        with pytest.raises(BackendUnavailableError, match=f"does not start {CUDA}: a library is missing"):
            choose_backend("cuda:0", engine, load=GPU)


def test_the_named_gpu_is_used(runtime: FakeOnnxRuntime) -> None:
    assert "cuda:1 (second)" in str(choose_backend("cuda:1", "onnxruntime", load=GPU).backend.info)
    tensorrt = choose_backend("cuda:1", "tensorrt", load=GPU).backend
    assert isinstance(tensorrt, _TensorRt) and tensorrt.device == 1
    with pytest.raises(BackendUnavailableError, match="cuda:2: this machine has cuda:0"):
        choose_backend("cuda:2", load=GPU)


def test_engines_of_gpus_need_one(runtime: FakeOnnxRuntime) -> None:
    for engine in ("tensorrt", "onnxruntime-tensorrt"):
        with pytest.raises(BackendUnavailableError, match=f"backend {engine} needs a GPU: choose device cuda:0"):
            choose_backend("cpu", engine, load=GPU)
        with pytest.raises(BackendUnavailableError, match="device cuda:0: no NVIDIA driver"):
            choose_backend("auto", engine, load=no_driver)


@pytest.mark.parametrize("precision", get_args(PrecisionChoice))
def test_the_way_to_engines_names_the_precision_that_was_asked_for(
    runtime: FakeOnnxRuntime, precision: PrecisionChoice
) -> None:
    (reason,) = choose_backend(load=GPU, precision=precision).skipped_backends
    assert f"vavl-export tensorrt BUNDLE --precision {precision} builds" in reason
    backend = choose_backend("cuda:0", "tensorrt", precision=precision, load=GPU).backend
    assert isinstance(backend, _TensorRt) and backend.precision == precision


def test_the_tensorrt_provider_is_taken_when_named(runtime: FakeOnnxRuntime, light_bundle: Path) -> None:
    with open_bundle(light_bundle) as opened:
        chosen = choose_backend("auto", "onnxruntime-tensorrt", bundle=opened, load=GPU)
    assert TENSORRT in str(chosen.backend.info) and chosen.backend.info.on_gpu


def test_the_cpu_asks_no_driver(runtime: FakeOnnxRuntime) -> None:
    def load(library: str) -> Any:
        raise AssertionError("the driver was asked")

    assert isinstance(choose_backend("cpu", load=load).backend, OnnxRuntimeBackend)


def test_unknown_names(runtime: FakeOnnxRuntime) -> None:
    with pytest.raises(InputError, match="device: got 'tpu'"):
        choose_backend("tpu")
    with pytest.raises(InputError, match="backend: got 'openvino', expected one of auto, onnxruntime"):
        choose_backend("cpu", "openvino")


def test_the_command_offers_every_engine() -> None:
    assert tuple(name.value for name in BackendName) == BACKENDS


# Through the recogniser and the command -------------------------------------------------------------------------


def _without_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "probe_driver", lambda load: probe_driver(no_driver))


def _with_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = probe_driver(GPU)
    monkeypatch.setattr(choice, "probe_driver", lambda load: driver)
    monkeypatch.setattr("vavl_runtime.devices.gpu.probe_driver", lambda: driver)


def _run(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_a_missing_device_ends_with_code_4_and_no_output(example_clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _without_driver(monkeypatch)
    result = _run(example_clip, "--audio-only", "--device", "cuda:0", "-f", "json")
    assert (result.exit_code, result.stdout) == (4, "")
    assert re.fullmatch(r"error: device cuda:0: no NVIDIA driver .*device cpu.*\n", result.stderr)


def test_auto_on_a_machine_without_a_gpu_says_what_it_took_only_if_asked(
    example_clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _without_driver(monkeypatch)
    arguments = (example_clip, "--audio-only", "--threads", 1)
    result = _run(*arguments, "-v")
    assert result.exit_code == 0
    assert re.search(
        r"^device auto: onnxruntime .* CPUExecutionProvider x1 \(skipped: no NVIDIA driver .*\)$", result.stderr, re.M
    )
    assert _run(*arguments).stderr == ""
    assert "device auto" not in _run(*arguments, "-v", "--device", "cpu").stderr


def test_a_named_gpu_says_what_it_skipped(
    runtime: FakeOnnxRuntime, with_engines: Path, example_clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Engines that do not fit must not be replaced by something else in silence."""
    _with_gpu(monkeypatch)
    arguments = (example_clip, "--audio-only", "--bundle", with_engines, "--device", "cuda:0")
    result = _run(*arguments)
    assert re.search(
        rf"^device cuda:0: .*{CUDA}.* \(skipped: .*no TensorRT engine for this machine: none was built",
        result.stderr,
        re.M,
    )
    assert "device cuda:0" not in _run(*arguments, "-q").stderr


def test_a_name_that_is_no_device_is_bad_usage(example_clip: Path) -> None:
    result = _run(example_clip, "--device", "tpu")
    assert result.exit_code == 2
    assert "expected auto, cpu or cuda:N" in " ".join(result.stderr.split())


def test_the_result_says_what_ran(light_bundle: Path) -> None:
    clip = ArrayClip(audio=tone())
    with Recognizer(light_bundle, device="cpu", threads=1) as recognizer:
        assert recognizer.skipped_backends == ()
        assert "CPUExecutionProvider x1" in str(recognizer.predict(clip).backend)


def test_a_refused_device_leaves_no_unpacked_archive(
    light_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, archive: Path
) -> None:
    _without_driver(monkeypatch)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(BackendUnavailableError, match="no NVIDIA driver"):
        Recognizer(archive, device="cuda:0")
    assert list(tmp_path.iterdir()) == []

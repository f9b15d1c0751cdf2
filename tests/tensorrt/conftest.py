"""A machine with a GPU and one of three versions of TensorRT, all of it made up."""

import shutil
import sys
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.tensorrt.fake_cuda import FakeCuda
from tests.tensorrt.fake_tensorrt import make_tensorrt
from vavl_export.tensorrt import build, target
from vavl_export.tensorrt.adapter import BuiltPlan, ShareDone, build_plan
from vavl_export.tensorrt.process import Job
from vavl_runtime.backends.trt import backend
from vavl_runtime.backends.trt.library import find_tensorrt
from vavl_runtime.bundle import Bundle, open_bundle
from vavl_runtime.devices import cuda as cuda_module
from vavl_runtime.devices.gpu import Driver, Gpu

ORIN = Gpu(index=0, name="Orin", compute_capability=(8, 7), memory_bytes=8 << 30, integrated=True)


@dataclass
class Machine:
    """The made-up machine: its CUDA and its TensorRT."""

    cuda: FakeCuda
    tensorrt: types.ModuleType


@pytest.fixture
def folder(light_bundle: Path, tmp_path: Path) -> Path:
    """A copy of the packaged bundle, where engines may be written."""
    return Path(shutil.copytree(light_bundle, tmp_path / "bundle"))


@pytest.fixture
def bundle(folder: Path) -> Iterator[Bundle]:
    """That copy, opened."""
    with open_bundle(folder) as opened:
        yield opened


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Machine]:
    """Makes a machine of a TensorRT version; builds run in this process."""

    def make(version: str, gpu: Gpu = ORIN) -> Machine:
        cuda = FakeCuda()
        tensorrt = make_tensorrt(version, cuda)
        monkeypatch.setitem(sys.modules, "tensorrt", tensorrt)
        monkeypatch.setattr(cuda_module, "import_cuda_runtime", lambda: cuda)
        for module in (backend, target):
            monkeypatch.setattr(module, "probe_driver", lambda: Driver((12, 6), (gpu,), None))
        monkeypatch.setattr(build, "build_in_process", _build_here)
        return Machine(cuda, tensorrt)

    return make


def _build_here(job: Job, progress: ShareDone) -> BuiltPlan:
    return build_plan(find_tensorrt((job.library,)), job.onnx, job.profiles, job.options, progress)

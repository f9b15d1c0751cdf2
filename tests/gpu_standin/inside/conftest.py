"""What the tests on the stand-in share. Without the stand-in nothing here is collected."""

import gc
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gpu_standin.inside.standin import Standin
from vavl_runtime.backends.ort.gpu import OnnxRuntimeGpuBackend
from vavl_runtime.devices.gpu import Gpu, probe_driver

if "VAVL_GPU_STANDIN" not in os.environ:
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="session")
def standin() -> Standin:
    """The counters and refusals of the stand-in."""
    return Standin(Path(os.environ["VAVL_GPU_STANDIN"]))


@pytest.fixture(scope="session")
def gpu() -> Gpu:
    """The GPU that the stand-in shows."""
    return probe_driver().gpus[0]


@pytest.fixture
def backend(gpu: Gpu) -> Iterator[OnnxRuntimeGpuBackend]:
    """A backend, closed afterwards."""
    opened = OnnxRuntimeGpuBackend(gpu)
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def nothing_stays(standin: Standin) -> Iterator[None]:
    """Each test leaves what it found: no refusal, no thread, no session, no graph and no page-locked memory."""
    gc.collect()
    before = standin.live()
    threads = threading.active_count()
    yield
    standin.accept_all()
    gc.collect()
    assert standin.live() == before
    assert threading.active_count() == threads

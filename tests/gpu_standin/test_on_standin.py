"""Runs the tests of ``inside``, each file in a process with onnxruntime-gpu on the stand-in for CUDA."""

import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from tests.gpu_standin.build import CUDNN
from tests.gpu_standin.conftest import RunInside
from tests.gpu_standin.structures import write_structures
from tests.session_store import SessionStore

pytestmark = pytest.mark.cuda_standin


def test_every_graph_of_a_light_bundle(run_inside: RunInside, half_bundle: Path, store: SessionStore) -> None:
    folder = store.get("light-structures", partial(write_structures, half_bundle))
    run_inside("test_graphs.py", VAVL_STRUCTURES=str(folder))


def test_the_backend(run_inside: RunInside) -> None:
    run_inside("test_backend.py")


def test_without_cudnn(run_inside: RunInside) -> None:
    loads = [
        sys.executable,
        "-c",
        f"import ctypes; ctypes.CDLL({CUDNN!r})",
    ]  # not here, where PyTorch may have loaded it
    if subprocess.run(loads, capture_output=True).returncode == 0:
        pytest.skip("this machine has a cuDNN of its own, which would be found")
    run_inside("test_without_cudnn.py", cudnn=False)


@pytest.mark.slow
@pytest.mark.long
def test_every_graph_of_a_paper_sized_bundle(run_inside: RunInside, paper_bundle: Path, store: SessionStore) -> None:
    folder = store.get("paper-structures", partial(write_structures, paper_bundle))
    run_inside("test_graphs.py", VAVL_STRUCTURES=str(folder))

"""The stand-in, compiled once, and a way to run tests on it in a process of their own."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.gpu_standin.build import CUDNN, build_standin
from tests.gpu_standin.wheel import unpacked_wheel
from tests.session_store import SessionStore

INSIDE = Path(__file__).parent / "inside"
_LIMIT_S = 600

RunInside = Callable[..., None]


@pytest.fixture(scope="session")
def wheel() -> Path:
    """The folder of onnxruntime-gpu."""
    return unpacked_wheel()


@pytest.fixture(scope="session")
def libraries(store: SessionStore) -> Path:
    """The folder of the stand-in."""
    return store.get("gpu-standin", build_standin)


@pytest.fixture
def run_inside(wheel: Path, libraries: Path, tmp_path: Path) -> RunInside:
    """Run a file of tests of ``inside`` with onnxruntime-gpu on the stand-in; what fails there fails here."""

    def run(file: str, *, cudnn: bool = True, **variables: str) -> None:
        folder = tmp_path / "libraries"
        folder.mkdir()
        for library in libraries.glob("*.so*"):
            if not library.name.endswith(".map") and (cudnn or library.name != CUDNN):
                (folder / library.name).symlink_to(library)
        environment = {
            **os.environ,
            "LD_LIBRARY_PATH": str(folder),
            "PYTHONPATH": os.pathsep.join([str(wheel), os.environ.get("PYTHONPATH", "")]),
            "VAVL_GPU_STANDIN": str(folder),
            **variables,
        }
        command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", "-o", "addopts="]
        # Without the fixtures of all tests: they import PyTorch, which loads the real CUDA.
        command += ["--confcutdir", str(INSIDE), "--basetemp", str(tmp_path / "inside"), str(INSIDE / file)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=_LIMIT_S)
        assert done.returncode == 0, f"{done.stdout[-12_000:]}\n{done.stderr[-3_000:]}"

    return run

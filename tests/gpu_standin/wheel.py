"""The real onnxruntime-gpu, unpacked beside the environment, which has the build for the CPU."""

import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

VERSION = "1.30.0"  # for CUDA 13, whose types the stand-in has
_MINUTES = 10


def unpacked_wheel() -> Path:
    """Find the folder to import onnxruntime-gpu from; downloads 250 MB the first time, into the temporary folder.

    The environment variable ``VAVL_ONNXRUNTIME_GPU`` names a folder that has it already. Skips the test where there is
    no such package, or no network.

    Returns:
        A folder for ``PYTHONPATH``.
    """
    if given := os.environ.get("VAVL_ONNXRUNTIME_GPU"):
        return Path(given)
    if (platform.system(), platform.machine()) != ("Linux", "x86_64") or sys.version_info < (3, 11):
        pytest.skip(f"onnxruntime-gpu {VERSION} is made for Linux on x86-64 with Python 3.11 or newer")
    from filelock import FileLock

    place = Path(tempfile.gettempdir()) / f"onnxruntime-gpu-{VERSION}-{sys.implementation.cache_tag}-{os.getuid()}"
    with FileLock(f"{place}.lock"):
        if not place.exists():
            _install(place)
    return place


def _install(place: Path) -> None:
    unfinished = Path(tempfile.mkdtemp(prefix=f"{place.name}.", dir=place.parent))
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile", "--no-input"]
    command += ["--target", str(unfinished), f"onnxruntime-gpu=={VERSION}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60 * _MINUTES)
    except subprocess.TimeoutExpired:
        pytest.skip(f"onnxruntime-gpu {VERSION} did not arrive within {_MINUTES} minutes")
    if done.returncode != 0:
        pytest.skip(f"onnxruntime-gpu {VERSION} cannot be installed: {done.stderr.strip()[-300:]}")
    unfinished.rename(place)

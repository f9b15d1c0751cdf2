"""Everything the doctor asks of a machine, as one object, so that tests can put a made-up machine in its place."""

import ctypes
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import site
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vavl_runtime._version import __version__
from vavl_runtime.backends.ort.providers import why_not
from vavl_runtime.backends.ort.session import import_onnxruntime
from vavl_runtime.devices.cpu import int8_instructions, usable_cores
from vavl_runtime.devices.gpu import Driver, probe_driver
from vavl_runtime.doctor.extras import DISTRIBUTION
from vavl_runtime.errors import BackendUnavailableError

_COMMAND_TIMEOUT_S = 20
# Where pip packages put the libraries of NVIDIA, inside of site-packages.
_PIP_LIBRARIES = ("nvidia/*/lib/", "tensorrt_libs/", "tensorrt_cu1*_libs/")


@dataclass(frozen=True)
class Library:
    """A shared library that was loaded; ``version`` is None if the library does not tell it."""

    version: tuple[int, int, int] | None
    path: str


@dataclass(frozen=True)
class OnnxRuntimeBuild:
    """The onnxruntime that Python imports.

    Attributes:
        version: Its version.
        cuda: The CUDA major it was built for; None for a CPU build or if it does not tell.
        providers: What it lists.
    """

    version: str
    cuda: int | None
    providers: tuple[str, ...]


@dataclass(frozen=True)
class Environment:
    """What the doctor can ask.

    Attributes:
        product: Our version.
        requirements: Those of our distribution, from its metadata; None if it runs from a source folder.
        architecture: Of the processor, such as ``x86_64``.
        cores: Cores that this process may use.
        instructions: Wide-vector and int8 instructions that all cores have; None where the kernel does not tell.
        python: Version of this interpreter.
        driver: What the CUDA driver says.
        distributions: Installed version by name of a Python distribution; None if it is not installed.
        module: Whether a Python module can be found.
        imports: Imports a Python module in a process of its own; returns None if that works, else the reason.
        library: Loads a shared library by its soname; None if it cannot be loaded.
        onnxruntime: The build, or why it cannot be imported.
        provider: Starts a provider of ONNX Runtime; returns None if it starts, else the reason.
        read: Text of a file; None if there is none.
        run: What a command prints; None if there is no such command or it fails.
        free_disk_bytes: Free space of the user's cache.
    """

    product: str
    requirements: Sequence[str] | None
    architecture: str
    cores: int
    instructions: tuple[str, ...] | None
    python: str
    driver: Driver
    distributions: Callable[[str], str | None]
    module: Callable[[str], bool]
    imports: Callable[[str], str | None]
    library: Callable[[str], Library | None]
    onnxruntime: Callable[[], OnnxRuntimeBuild | str]
    provider: Callable[[str], str | None]
    read: Callable[[str], str | None]
    run: Callable[[Sequence[str]], str | None]
    free_disk_bytes: int


def this_machine() -> Environment:
    """The machine that this process runs on."""
    return Environment(
        product=__version__,
        requirements=_requirements(),
        architecture=platform.machine(),
        cores=usable_cores(),
        instructions=int8_instructions(),
        python=platform.python_version(),
        driver=probe_driver(),
        distributions=_distribution,
        module=lambda name: importlib.util.find_spec(name) is not None,
        imports=_imports,
        library=_load,
        onnxruntime=_build,
        provider=why_not,
        read=_read,
        run=_run,
        free_disk_bytes=shutil.disk_usage(Path.home()).free,
    )


def _distribution(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _requirements() -> Sequence[str] | None:
    try:
        return importlib.metadata.requires(DISTRIBUTION) or ()
    except importlib.metadata.PackageNotFoundError:
        return None


def _imports(name: str) -> str | None:
    command = [sys.executable, "-c", f"import {name}"]
    try:
        done = subprocess.run(
            command, capture_output=True, encoding="utf-8", errors="replace", timeout=_COMMAND_TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {_COMMAND_TIMEOUT_S} s"
    if done.returncode == 0:
        return None
    return (done.stderr.strip().splitlines() or [f"the process ended with code {done.returncode}"])[-1]


def _load(soname: str) -> Library | None:
    folders = [*site.getsitepackages(), site.getusersitepackages(), *sys.path]
    packaged = [str(path) for f in folders if f for where in _PIP_LIBRARIES for path in Path(f).glob(where + soname)]
    for place in (soname, *packaged):
        try:
            library = ctypes.CDLL(place)
        except OSError:
            continue
        return Library(_version(soname, library), place)
    return None


def _version(soname: str, library: ctypes.CDLL) -> tuple[int, int, int] | None:
    """Ask a library for its version by its own function."""
    number = ctypes.c_int()
    if soname.startswith("libcudart"):
        library.cudaRuntimeGetVersion(ctypes.byref(number))
        return number.value // 1000, number.value % 1000 // 10, 0
    functions = {"libcudnn": "cudnnGetVersion", "libnvinfer": "getInferLibVersion"}
    name = functions.get(soname.split(".")[0])
    if name is None:
        return None
    return decode_version(int(getattr(library, name)()))


def decode_version(value: int) -> tuple[int, int, int]:
    """Read the version number of cuDNN or TensorRT.

    Args:
        value: Such as 8904 or 91200: from cuDNN 9 and TensorRT 10 on the minor has a digit more.

    Returns:
        Major, minor and patch.
    """
    major = 10_000 if value >= 90_000 else 1000
    return value // major, value % major // 100, value % 100


def _build() -> OnnxRuntimeBuild | str:
    try:
        runtime = import_onnxruntime()
    except BackendUnavailableError as error:
        return str(error)
    cuda = str(getattr(runtime, "cuda_version", "") or "")
    major = int(cuda.split(".")[0]) if cuda[:1].isdigit() else None
    return OnnxRuntimeBuild(runtime.__version__, major, tuple(runtime.get_available_providers()))


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


def _run(command: Sequence[str]) -> str | None:
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_COMMAND_TIMEOUT_S,
            env=os.environ | {"LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None

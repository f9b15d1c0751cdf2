"""Where graphs can run: device names, and the GPUs that the CUDA driver itself reports.

The driver is asked through ctypes before any backend is loaded: without a driver TensorRT crashes, and ONNX Runtime
falls back to the CPU.
"""

import ctypes
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from vavl_runtime.errors import BackendUnavailableError, InputError

DRIVER_LIBRARY = "libcuda.so.1"
# CUdevice_attribute of cuda.h
_INTEGRATED = 18
_COMPUTE_CAPABILITY_MAJOR = 75
_COMPUTE_CAPABILITY_MINOR = 76
_NAME_BYTES = 256


@dataclass(frozen=True)
class Device:
    """A device as the user names it: ``auto``, ``cpu`` or ``cuda:N``."""

    kind: Literal["auto", "cpu", "cuda"]
    index: int = 0

    def __str__(self) -> str:
        return f"cuda:{self.index}" if self.kind == "cuda" else self.kind


def parse_device(text: str) -> Device:
    """Read a device name.

    Args:
        text: ``auto``, ``cpu``, ``cuda`` (the first GPU) or ``cuda:N``.

    Returns:
        The device.

    Raises:
        InputError: Anything else.
    """
    if not isinstance(text, str):
        raise InputError(f"device: got {text!r}, expected auto, cpu or cuda:N, such as cuda:0")
    if text in ("auto", "cpu"):
        return Device(text)  # type: ignore[arg-type]
    if match := re.fullmatch(r"cuda(?::(\d{1,3}))?", text, re.ASCII):
        return Device("cuda", int(match[1] or 0))
    raise InputError(f"device: got {text!r}, expected auto, cpu or cuda:N, such as cuda:0")


@dataclass(frozen=True)
class Gpu:
    """One GPU.

    Attributes:
        index: Its number among those the driver shows; ``CUDA_VISIBLE_DEVICES`` is respected.
        name: Its name.
        compute_capability: Major and minor, such as (8, 7).
        memory_bytes: All of its memory; of an integrated GPU, that of the machine.
        integrated: It shares the machine's memory, as on a Jetson.
    """

    index: int
    name: str
    compute_capability: tuple[int, int]
    memory_bytes: int
    integrated: bool = False

    def __str__(self) -> str:
        return f"cuda:{self.index} ({self.name})"


@dataclass(frozen=True)
class Driver:
    """What the CUDA driver says.

    Attributes:
        cuda: The newest CUDA that the driver can serve, major and minor; None without a driver.
        gpus: The GPUs it shows.
        problem: Why there is no usable GPU; None if there is one.
    """

    cuda: tuple[int, int] | None
    gpus: tuple[Gpu, ...]
    problem: str | None


def probe_driver(load: Callable[[str], Any] = ctypes.CDLL) -> Driver:
    """Ask the CUDA driver for its version and its GPUs. Makes no CUDA context.

    Args:
        load: Loads a shared library by name.

    Returns:
        The answer; a missing or failing driver is an answer too.
    """
    try:
        library = load(DRIVER_LIBRARY)
    except OSError as error:
        return Driver(None, (), f"no NVIDIA driver ({error})")
    version = ctypes.c_int()
    if library.cuDriverGetVersion(ctypes.byref(version)) != 0:
        return Driver(None, (), "the NVIDIA driver does not tell its version")
    cuda = (version.value // 1000, version.value % 1000 // 10)
    count = ctypes.c_int()
    status = library.cuInit(0) or library.cuDeviceGetCount(ctypes.byref(count))
    if status:
        return Driver(cuda, (), f"the NVIDIA driver says {_error_text(library, status)}")
    try:
        gpus = tuple(_ask(library, index) for index in range(count.value))
    except BackendUnavailableError as error:
        return Driver(cuda, (), str(error))
    return Driver(cuda, gpus, None if gpus else "the NVIDIA driver shows no GPU; is CUDA_VISIBLE_DEVICES empty?")


def require_gpu(index: int, driver: Driver) -> Gpu:
    """Find a GPU that must be there.

    Args:
        index: Its number.
        driver: What `probe_driver` said.

    Returns:
        The GPU.

    Raises:
        BackendUnavailableError: It is not there; the message says why and what to do.
    """
    if driver.problem is not None:
        raise BackendUnavailableError(
            f"device cuda:{index}: {driver.problem}; install the driver (in a container: start it with --gpus all, "
            "on a Jetson with --runtime nvidia), or use device cpu; vavl-doctor says more"
        )
    if index >= len(driver.gpus):
        there = ", ".join(map(str, driver.gpus))
        raise BackendUnavailableError(f"device cuda:{index}: this machine has {there}; name one of them")
    return driver.gpus[index]


def _ask(library: Any, index: int) -> Gpu:
    device = ctypes.c_int()
    name = ctypes.create_string_buffer(_NAME_BYTES)
    memory = ctypes.c_size_t()
    _check(library, library.cuDeviceGet(ctypes.byref(device), index))
    _check(library, library.cuDeviceGetName(name, _NAME_BYTES, device))
    _check(library, library.cuDeviceTotalMem_v2(ctypes.byref(memory), device))
    return Gpu(
        index=index,
        name=name.value.decode(errors="replace"),
        compute_capability=(
            _attribute(library, _COMPUTE_CAPABILITY_MAJOR, device),
            _attribute(library, _COMPUTE_CAPABILITY_MINOR, device),
        ),
        memory_bytes=memory.value,
        integrated=bool(_attribute(library, _INTEGRATED, device)),
    )


def _attribute(library: Any, attribute: int, device: ctypes.c_int) -> int:
    value = ctypes.c_int()
    _check(library, library.cuDeviceGetAttribute(ctypes.byref(value), attribute, device))
    return value.value


def _check(library: Any, status: int) -> None:
    if status:
        raise BackendUnavailableError(f"the NVIDIA driver says {_error_text(library, status)}; restart the machine")


def _error_text(library: Any, status: int) -> str:
    text = ctypes.c_char_p()
    library.cuGetErrorString(status, ctypes.byref(text))
    return f"{text.value.decode(errors='replace')!r} (code {status})" if text.value else f"code {status}"

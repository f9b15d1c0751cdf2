"""NVIDIA's management library (NVML) through ctypes: power, memory and clocks of a GPU, without another package."""

import contextlib
import ctypes
from collections.abc import Iterator
from typing import Any

LIBRARY = "libnvidia-ml.so.1"
_TEXT_BYTES = 96
_GRAPHICS_CLOCK = 0
_GPU_TEMPERATURE = 0
# nvmlClocksEventReasons of nvml.h that mean the GPU is held back; idling and chosen limits are no throttling.
_THROTTLING = {
    0x0000000000000004: "software power cap",
    0x0000000000000008: "hardware slowdown",
    0x0000000000000020: "software thermal slowdown",
    0x0000000000000040: "hardware thermal slowdown",
    0x0000000000000080: "hardware power brake",
}


class NvmlError(Exception):
    """NVML is missing or has no such value; the message is the reason to show."""


class _Memory(ctypes.Structure):
    _fields_ = [("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong)]


class Nvml:
    """An open NVML.

    Args:
        library: The loaded shared library; `open_nvml` finds it.

    Raises:
        NvmlError: No driver behind it.
    """

    def __init__(self, library: Any) -> None:
        self._library = library
        self._call("nvmlInit_v2")

    def _call(self, function: str, *arguments: Any) -> None:
        try:
            code = getattr(self._library, function)(*arguments)
        except AttributeError as error:
            raise NvmlError(f"this driver has no {function}") from error
        if code != 0:
            self._library.nvmlErrorString.restype = ctypes.c_char_p
            text = self._library.nvmlErrorString(code)
            raise NvmlError(f"{function}: {text.decode() if text else f'error {code}'}")

    def _text(self, function: str, *arguments: Any) -> str:
        buffer = ctypes.create_string_buffer(_TEXT_BYTES)
        self._call(function, *arguments, buffer, ctypes.c_uint(_TEXT_BYTES))
        return buffer.value.decode()

    def _number(self, function: str, kind: Any, handle: ctypes.c_void_p, *arguments: Any) -> int:
        number = kind()
        self._call(function, handle, *arguments, ctypes.byref(number))
        return int(number.value)

    def driver(self) -> str:
        """Version of the driver."""
        return self._text("nvmlSystemGetDriverVersion")

    def count(self) -> int:
        """Number of GPUs."""
        number = ctypes.c_uint()
        self._call("nvmlDeviceGetCount_v2", ctypes.byref(number))
        return number.value

    def gpu(self, index: int) -> ctypes.c_void_p:
        """Handle of a GPU."""
        handle = ctypes.c_void_p()
        self._call("nvmlDeviceGetHandleByIndex_v2", ctypes.c_uint(index), ctypes.byref(handle))
        return handle

    def name(self, gpu: ctypes.c_void_p) -> str:
        """Name of a GPU."""
        return self._text("nvmlDeviceGetName", gpu)

    def used_mib(self, gpu: ctypes.c_void_p) -> float:
        """Memory in use by all processes, MiB."""
        memory = _Memory()
        self._call("nvmlDeviceGetMemoryInfo", gpu, ctypes.byref(memory))
        return float(memory.used) / 2**20

    def energy_j(self, gpu: ctypes.c_void_p) -> float:
        """Energy since the driver was loaded, joules; from Volta on."""
        return self._number("nvmlDeviceGetTotalEnergyConsumption", ctypes.c_ulonglong, gpu) / 1000

    def clock_mhz(self, gpu: ctypes.c_void_p) -> float:
        """Graphics clock, MHz."""
        return self._number("nvmlDeviceGetClockInfo", ctypes.c_uint, gpu, ctypes.c_uint(_GRAPHICS_CLOCK))

    def celsius(self, gpu: ctypes.c_void_p) -> float:
        """Temperature, degrees Celsius."""
        return self._number("nvmlDeviceGetTemperature", ctypes.c_uint, gpu, ctypes.c_uint(_GPU_TEMPERATURE))

    def throttling(self, gpu: ctypes.c_void_p) -> tuple[str, ...]:
        """Why the GPU is throttled at this moment; empty if it is not."""
        reasons = self._number("nvmlDeviceGetCurrentClocksThrottleReasons", ctypes.c_ulonglong, gpu)
        return tuple(text for bit, text in _THROTTLING.items() if reasons & bit)

    def close(self) -> None:
        """Shut NVML down."""
        self._call("nvmlShutdown")


@contextlib.contextmanager
def open_nvml(library: str = LIBRARY) -> Iterator[Nvml]:
    """Open NVML for a ``with`` block.

    Args:
        library: Name of the shared library.

    Yields:
        The open library.

    Raises:
        NvmlError: It is missing, or there is no driver behind it.
    """
    try:
        loaded = ctypes.CDLL(library)
    except OSError as error:
        raise NvmlError(f"no {library}: no NVIDIA driver on this machine") from error
    nvml = Nvml(loaded)
    try:
        yield nvml
    finally:
        nvml.close()

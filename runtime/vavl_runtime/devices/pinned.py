"""Page-locked memory of the host, from the CUDA driver.

The GPU reads and writes it directly. Copies from and to other memory go through a buffer of the driver. ONNX Runtime's
Python API does not hand out such memory before 1.30, and in 1.30 only with CUDA as a plugin, so the driver is asked.
"""

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vavl_runtime.devices.gpu import DRIVER_LIBRARY
from vavl_runtime.errors import BackendUnavailableError


class PinnedMemory:
    """Arrays in page-locked memory.

    The calling thread needs a current CUDA context, as it has once ONNX Runtime opened a session in it.

    Args:
        load: Loads the driver's library.

    Raises:
        BackendUnavailableError: The driver's library cannot be loaded.
    """

    def __init__(self, load: Callable[[str], Any] = ctypes.CDLL) -> None:
        try:
            self._driver = load(DRIVER_LIBRARY)
        except OSError as error:
            raise BackendUnavailableError(f"no NVIDIA driver ({error}); install it, or use device cpu") from error

    def array(self, shape: tuple[int, ...], dtype: str) -> NDArray[Any]:
        """Allocate an array, which `free` must get back.

        Args:
            shape: Its shape.
            dtype: Its dtype.

        Returns:
            The array; its values are arbitrary.

        Raises:
            BackendUnavailableError: There is no memory left, or no context.
        """
        count = int(np.prod(shape, dtype=np.int64))
        size = max(1, count * np.dtype(dtype).itemsize)
        address = ctypes.c_void_p()
        self._check(self._driver.cuMemHostAlloc(ctypes.byref(address), ctypes.c_size_t(size), 0), f"allocate {size} B")
        memory = np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(address.value or 0))
        return memory[: count * np.dtype(dtype).itemsize].view(dtype).reshape(shape)

    def copy_out(self, device_address: int, target: NDArray[Any]) -> None:
        """Copy from the device and wait for it.

        Args:
            device_address: Where the values lie on the device.
            target: An array that `array` gave; all of it is filled.

        Raises:
            BackendUnavailableError: The driver fails.
        """
        status = self._driver.cuMemcpyDtoH_v2(
            ctypes.c_void_p(target.ctypes.data), ctypes.c_uint64(device_address), ctypes.c_size_t(target.nbytes)
        )
        self._check(status, f"copy {target.nbytes} B from the GPU")

    def free(self, array: NDArray[Any]) -> None:
        """Free an array that `array` gave. It must not be used afterwards."""
        self._check(self._driver.cuMemFreeHost(ctypes.c_void_p(array.ctypes.data)), "free page-locked memory")

    def _check(self, status: int, what: str) -> None:
        if status:
            text = ctypes.c_char_p()
            self._driver.cuGetErrorString(status, ctypes.byref(text))
            reason = text.value.decode(errors="replace") if text.value else f"code {status}"
            raise BackendUnavailableError(f"the NVIDIA driver cannot {what}: {reason}; free memory, or use device cpu")

"""The few calls of the CUDA runtime that a backend without PyTorch needs, each with its status checked."""

import contextlib
import ctypes
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vavl_runtime.errors import BackendUnavailableError

_MODULES = ("cuda.bindings.runtime", "cuda.cudart")  # the second before cuda-python 12.6
_REMEDIES = {
    "cudaErrorMemoryAllocation": "close other programs that use the GPU",
    "cudaErrorInsufficientDriver": "install cuda-python of the major version that vavl-doctor shows for the driver",
}


def import_cuda_runtime() -> Any:
    """Import cuda-python's binding of the CUDA runtime.

    Raises:
        BackendUnavailableError: It is not installed.
    """
    for name in _MODULES:
        try:
            return import_module(name)
        except ImportError as error:
            missing = error
    raise BackendUnavailableError(
        f"cuda-python cannot be imported ({missing}); pip install cuda-python of the major version of your CUDA"
    )


class Cuda:
    """One GPU: memory, streams and CUDA graphs. Addresses are plain integers.

    Args:
        device: Number of the GPU.
        runtime: The binding; imported by default.

    Raises:
        BackendUnavailableError: The binding is missing or the GPU does not answer.
    """

    def __init__(self, device: int, runtime: Any = None) -> None:
        self._runtime = import_cuda_runtime() if runtime is None else runtime
        self._device = device
        kinds = self._runtime.cudaMemcpyKind
        self._in, self._out = kinds.cudaMemcpyHostToDevice, kinds.cudaMemcpyDeviceToHost
        self._capture_mode = self._runtime.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        self.use()

    def use(self) -> None:
        """Make this GPU the current one of the calling thread."""
        self.call("cudaSetDevice", self._device)

    def allocate(self, size: int) -> int:
        """Allocate ``size`` bytes of device memory; returns the address."""
        return int(self.call("cudaMalloc", size))

    def free(self, address: int) -> None:
        """Free device memory."""
        self.call("cudaFree", address)

    def allocate_pinned(self, size: int) -> NDArray[np.uint8]:
        """Allocate page-locked host memory, which copies do not stage; an array of ``size`` bytes."""
        address = int(self.call("cudaMallocHost", size))
        return np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(address))

    def free_pinned(self, memory: NDArray[np.uint8]) -> None:
        """Free page-locked host memory; the array must not be used afterwards."""
        self.call("cudaFreeHost", memory.ctypes.data)

    def new_stream(self) -> Any:
        """Make a stream that does not wait for the default one."""
        return self.call("cudaStreamCreateWithFlags", self._runtime.cudaStreamNonBlocking)

    def destroy_stream(self, stream: Any) -> None:
        """Destroy a stream."""
        self.call("cudaStreamDestroy", stream)

    def copy_in(self, device: int, host: NDArray[np.uint8], size: int, stream: Any) -> None:
        """Start copying ``size`` bytes to the device."""
        self.call("cudaMemcpyAsync", device, host.ctypes.data, size, self._in, stream)

    def copy_out(self, host: NDArray[np.uint8], device: int, size: int, stream: Any) -> None:
        """Start copying ``size`` bytes from the device."""
        self.call("cudaMemcpyAsync", host.ctypes.data, device, size, self._out, stream)

    def synchronize(self, stream: Any) -> None:
        """Wait for a stream."""
        self.call("cudaStreamSynchronize", stream)

    @contextlib.contextmanager
    def capture(self, stream: Any) -> Iterator["CapturedGraph"]:
        """Record what a ``with`` block sends to a stream instead of running it.

        Args:
            stream: The stream.

        Yields:
            The graph; it can be launched after the block.
        """
        captured = CapturedGraph(self)
        self.call("cudaStreamBeginCapture", stream, self._capture_mode)
        try:
            yield captured
        except BaseException:
            with contextlib.suppress(BackendUnavailableError):  # the first error is the one to tell
                self.call("cudaGraphDestroy", self.call("cudaStreamEndCapture", stream))
            raise
        graph = self.call("cudaStreamEndCapture", stream)
        try:
            captured.executable = self.call("cudaGraphInstantiate", graph, 0)
        finally:
            self.call("cudaGraphDestroy", graph)

    def call(self, name: str, *arguments: Any) -> Any:
        """Call a function of the CUDA runtime.

        Args:
            name: Its name.
            arguments: Its inputs.

        Returns:
            Its output; None if it has none.

        Raises:
            BackendUnavailableError: It fails.
        """
        status, *values = getattr(self._runtime, name)(*arguments)
        if int(status):
            reason = getattr(status, "name", str(status))
            remedy = _REMEDIES.get(reason, "restart the process")
            raise BackendUnavailableError(
                f"{name} on cuda:{self._device} fails with {reason}; {remedy}, or use device cpu"
            )
        return values[0] if values else None


class CapturedGraph:
    """A CUDA graph; ``executable`` is the driver's handle once the capture is over."""

    def __init__(self, cuda: Cuda) -> None:
        self._cuda = cuda
        self.executable: Any = None

    def launch(self, stream: Any) -> None:
        """Start it on a stream."""
        self._cuda.call("cudaGraphLaunch", self.executable, stream)

    def destroy(self) -> None:
        """Release it."""
        self._cuda.call("cudaGraphExecDestroy", self.executable)

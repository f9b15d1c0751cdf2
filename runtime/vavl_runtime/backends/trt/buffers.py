"""Buffers of one graph: pinned on the host and on the device, allocated once for the largest shape it serves."""

import contextlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from vavl_runtime.backends.base import Arrays
from vavl_runtime.backends.trt.engine_store import Shape
from vavl_runtime.backends.trt.shapes import write_padded
from vavl_runtime.bundle.manifest import GraphRecord, TensorRecord
from vavl_runtime.devices.cuda import Cuda

T = TypeVar("T")


@dataclass(frozen=True)
class _Buffer:
    tensor: TensorRecord
    host: NDArray[np.uint8]
    device: int

    def view(self, shape: Shape) -> NDArray[Any]:
        dtype = np.dtype(self.tensor.dtype)
        return self.host[: prod(shape) * dtype.itemsize].view(dtype).reshape(shape)


class Buffers:
    """Inputs, outputs and scratch memory at addresses that stay.

    Args:
        cuda: The GPU.
        record: The graph's signature.
        largest: Largest shape of every input and output.
        scratch_bytes: Device memory for intermediate tensors; the graph's contexts run in turn and share it.

    Raises:
        BackendUnavailableError: Memory runs out; what was allocated is free again.
    """

    def __init__(self, cuda: Cuda, record: GraphRecord, largest: Mapping[str, Shape], scratch_bytes: int) -> None:
        self._cuda = cuda
        self._buffers: dict[str, _Buffer] = {}
        self.scratch_bytes = max(scratch_bytes, 1)
        with contextlib.ExitStack() as frees:
            self.scratch = self._keep(frees, cuda.allocate(self.scratch_bytes), cuda.free)
            for tensor in (*record.inputs, *record.outputs):
                size = prod(largest[tensor.name]) * np.dtype(tensor.dtype).itemsize
                host = self._keep(frees, cuda.allocate_pinned(size), cuda.free_pinned)
                self._buffers[tensor.name] = _Buffer(tensor, host, self._keep(frees, cuda.allocate(size), cuda.free))
            self._frees = frees.pop_all()

    def addresses(self) -> dict[str, int]:
        """Device address by tensor name."""
        return {name: buffer.device for name, buffer in self._buffers.items()}

    def write(self, inputs: Arrays, shapes: Mapping[str, Shape]) -> None:
        """Put inputs into pinned memory, padded with zeros to ``shapes``."""
        for name, value in inputs.items():
            write_padded(self._buffers[name].view(shapes[name]), value)

    def read(self, shapes: Mapping[str, Shape]) -> dict[str, NDArray[Any]]:
        """Views of outputs in pinned memory; the next run overwrites them."""
        return {name: self._buffers[name].view(shape) for name, shape in shapes.items()}

    def copy_in(self, shapes: Iterable[tuple[str, Shape]], stream: Any) -> None:
        """Start copying inputs of these shapes to the device."""
        for name, shape in shapes:
            buffer = self._buffers[name]
            self._cuda.copy_in(buffer.device, buffer.host, buffer.view(shape).nbytes, stream)

    def copy_out(self, shapes: Iterable[tuple[str, Shape]], stream: Any) -> None:
        """Start copying outputs of these shapes to the host."""
        for name, shape in shapes:
            buffer = self._buffers[name]
            self._cuda.copy_out(buffer.host, buffer.device, buffer.view(shape).nbytes, stream)

    def free(self) -> None:
        """Free all of it; nothing may run on it anymore."""
        self._buffers.clear()
        self._frees.close()

    @staticmethod
    def _keep(frees: contextlib.ExitStack, memory: T, free: Callable[[T], None]) -> T:
        frees.callback(free, memory)
        return memory

"""A CUDA runtime without a GPU, with the calling convention of cuda-python.

Device memory is host memory, streams run at once, and a captured graph keeps what was sent to its stream. Every call
is recorded, so that a test can say what a steady state does.
"""

# ruff: noqa: N801, N802, N815 - the names are NVIDIA's

import ctypes
from collections import Counter
from collections.abc import Callable
from enum import IntEnum
from typing import Any

Work = Callable[[], None]


class cudaError_t(IntEnum):
    cudaSuccess = 0
    cudaErrorInvalidValue = 1
    cudaErrorMemoryAllocation = 2
    cudaErrorStreamCaptureUnsupported = 900


class cudaMemcpyKind(IntEnum):
    cudaMemcpyHostToDevice = 1
    cudaMemcpyDeviceToHost = 2


class cudaStreamCaptureMode(IntEnum):
    cudaStreamCaptureModeGlobal = 0
    cudaStreamCaptureModeThreadLocal = 1


class Stream:
    def __init__(self, handle: int) -> None:
        self.handle = handle
        self.captured: list[Work] | None = None

    def __int__(self) -> int:
        return self.handle


class Graph:
    def __init__(self, work: list[Work]) -> None:
        self.work = work


class FakeCuda:
    """Stands for the module ``cuda.bindings.runtime``; its functions return a tuple that starts with a status."""

    cudaMemcpyKind = cudaMemcpyKind
    cudaStreamCaptureMode = cudaStreamCaptureMode
    cudaStreamNonBlocking = 1

    def __init__(self, memory_bytes: int = 1 << 32) -> None:
        self.calls: Counter[str] = Counter()
        self.memory: dict[int, Any] = {}
        self.left = memory_bytes
        self.streams: dict[int, Stream] = {}
        self.used: set[int] = set()  # streams that computed something
        self.graphs = 0
        self.contexts = 0  # of TensorRT

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("cuda") and name[4].isupper() and name in ALLOWED:
            object.__getattribute__(self, "calls")[name] += 1
        return object.__getattribute__(self, name)

    def cudaSetDevice(self, device: int) -> tuple[cudaError_t]:
        return (cudaError_t.cudaSuccess,)

    def cudaMalloc(self, size: int) -> tuple[cudaError_t, int | None]:
        if self.captures():
            return cudaError_t.cudaErrorStreamCaptureUnsupported, None
        if size > self.left:
            return cudaError_t.cudaErrorMemoryAllocation, None
        self.left -= size
        memory = (ctypes.c_uint8 * size)()
        self.memory[ctypes.addressof(memory)] = memory
        return cudaError_t.cudaSuccess, ctypes.addressof(memory)

    def cudaMallocHost(self, size: int) -> tuple[cudaError_t, int | None]:
        return self.cudaMalloc(size)

    def cudaFree(self, address: int) -> tuple[cudaError_t]:
        if self.memory.pop(address, None) is None:
            return (cudaError_t.cudaErrorInvalidValue,)
        return (cudaError_t.cudaSuccess,)

    def cudaFreeHost(self, address: int) -> tuple[cudaError_t]:
        return self.cudaFree(address)

    def cudaStreamCreateWithFlags(self, flags: int) -> tuple[cudaError_t, Stream]:
        stream = Stream(1000 + len(self.streams))
        self.streams[int(stream)] = stream
        return cudaError_t.cudaSuccess, stream

    def cudaStreamDestroy(self, stream: Stream) -> tuple[cudaError_t]:
        del self.streams[int(stream)]
        return (cudaError_t.cudaSuccess,)

    def cudaMemcpyAsync(
        self, target: int, source: int, count: int, kind: cudaMemcpyKind, stream: Stream
    ) -> tuple[cudaError_t]:
        self.enqueue(int(stream), lambda: ctypes.memmove(target, source, count))
        return (cudaError_t.cudaSuccess,)

    def cudaStreamSynchronize(self, stream: Stream) -> tuple[cudaError_t]:
        if stream.captured is not None:
            return (cudaError_t.cudaErrorStreamCaptureUnsupported,)
        return (cudaError_t.cudaSuccess,)

    def cudaStreamBeginCapture(self, stream: Stream, mode: cudaStreamCaptureMode) -> tuple[cudaError_t]:
        stream.captured = []
        return (cudaError_t.cudaSuccess,)

    def cudaStreamEndCapture(self, stream: Stream) -> tuple[cudaError_t, Graph]:
        work, stream.captured = stream.captured, None
        assert work is not None
        return cudaError_t.cudaSuccess, Graph(work)

    def cudaGraphInstantiate(self, graph: Graph, flags: int) -> tuple[cudaError_t, Graph]:
        self.graphs += 1
        return cudaError_t.cudaSuccess, Graph(list(graph.work))

    def cudaGraphDestroy(self, graph: Graph) -> tuple[cudaError_t]:
        graph.work.clear()
        return (cudaError_t.cudaSuccess,)

    def cudaGraphExecDestroy(self, graph: Graph) -> tuple[cudaError_t]:
        self.graphs -= 1
        graph.work.clear()
        return (cudaError_t.cudaSuccess,)

    def cudaGraphLaunch(self, graph: Graph, stream: Stream) -> tuple[cudaError_t]:
        for work in graph.work:
            self.enqueue(int(stream), work)
        return (cudaError_t.cudaSuccess,)

    def enqueue(self, handle: int, work: Any) -> None:
        """Run work on a stream, or keep it if the stream is being captured."""
        stream = self.streams[handle]
        self.used.add(handle)
        if stream.captured is None:
            work()
        else:
            stream.captured.append(work)

    def captures(self) -> bool:
        """Whether any stream is being captured."""
        return any(stream.captured is not None for stream in self.streams.values())

    def is_capturing(self, handle: int) -> bool:
        return self.streams[handle].captured is not None


ALLOWED = {name for name in vars(FakeCuda) if name.startswith("cuda")}

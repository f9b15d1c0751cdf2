"""The device that figures are taken on: streams, clocks, graph capture and memory of a GPU, or a CPU that plays one."""

import contextlib
import time
from collections.abc import Callable
from typing import Any, Protocol

import torch

Work = Callable[[], None]
Provider = tuple[str, dict[str, str]]


class Accelerator(Protocol):
    """What the benchmark needs of a device. Everything is enqueued on a main stream; a side stream may help.

    Attributes:
        device: Name of the device in PyTorch.
        compiler: Backend of ``torch.compile``.
    """

    device: str
    compiler: str

    def describe(self) -> dict[str, str]:
        """Name of the device and versions of what drives it."""

    def use(self) -> contextlib.AbstractContextManager[Any]:
        """Enqueue on the main stream."""

    def aside(self) -> contextlib.AbstractContextManager[Any]:
        """Enqueue on the side stream, after what was enqueued on the main stream so far."""

    def join(self) -> None:
        """Let the main stream wait for the side stream."""

    def synchronize(self) -> None:
        """Wait until the device has done everything; raises if something failed."""

    def time(self, work: Work) -> tuple[float, float]:
        """Run something once; returns milliseconds between events on the main stream, and by the host's clock."""

    def capture(self, work: Work) -> Work:
        """Capture what was already run a few times as one graph; returns what replays it."""

    def used_mib(self) -> float | None:
        """Memory of the device in use, MiB; None where it cannot be told apart."""

    def release(self) -> None:
        """Give unused memory back to the device."""

    def provider(self, *, side: bool, graphs: bool, fixed: bool, nhwc: bool) -> Provider:
        """ONNX Runtime's provider for this device, on the main or the side stream."""


class CudaAccelerator:
    """An NVIDIA GPU, through PyTorch.

    Args:
        index: Number of the GPU.
    """

    compiler = "inductor"

    def __init__(self, index: int = 0) -> None:
        self.index = index
        self.device = f"cuda:{index}"
        torch.cuda.set_device(index)
        # fp32 means fp32: it is the reference that everything else is compared with.
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
        self._main, self._side = torch.cuda.Stream(index), torch.cuda.Stream(index)
        self._start, self._end = (torch.cuda.Event(enable_timing=True) for _ in range(2))

    def describe(self) -> dict[str, str]:
        """Name of the device and versions of what drives it."""
        properties = torch.cuda.get_device_properties(self.index)
        return {
            "name": properties.name,
            "memory_mib": f"{properties.total_memory / 2**20:.0f}",
            "compute_capability": f"{properties.major}.{properties.minor}",
            "driver": _driver(),
            "cuda": str(torch.version.cuda),
            "cudnn": str(torch.backends.cudnn.version()),
        }

    def use(self) -> contextlib.AbstractContextManager[Any]:
        """Enqueue on the main stream."""
        stream: contextlib.AbstractContextManager[Any] = torch.cuda.stream(self._main)
        return stream

    def aside(self) -> contextlib.AbstractContextManager[Any]:
        """Enqueue on the side stream, after what was enqueued on the main stream so far."""
        self._side.wait_stream(self._main)
        stream: contextlib.AbstractContextManager[Any] = torch.cuda.stream(self._side)
        return stream

    def join(self) -> None:
        """Let the main stream wait for the side stream."""
        self._main.wait_stream(self._side)

    def synchronize(self) -> None:
        """Wait until the device has done everything; raises if something failed."""
        torch.cuda.synchronize(self.index)

    def time(self, work: Work) -> tuple[float, float]:
        """Run something once; returns milliseconds between events on the main stream, and by the host's clock."""
        start = time.perf_counter()
        self._start.record(self._main)
        work()
        self._end.record(self._main)
        self._end.synchronize()
        return self._start.elapsed_time(self._end), 1000 * (time.perf_counter() - start)

    def capture(self, work: Work) -> Work:
        """Capture what was already run a few times as one graph; returns what replays it."""
        self.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=self._main, capture_error_mode="thread_local"):
            work()
        replay: Work = graph.replay
        return replay

    def used_mib(self) -> float | None:
        """Memory of the device in use, by all libraries of all processes, MiB."""
        free, total = torch.cuda.mem_get_info(self.index)
        return float(total - free) / 2**20

    def release(self) -> None:
        """Give unused memory back to the device."""
        torch.cuda.empty_cache()

    def provider(self, *, side: bool, graphs: bool, fixed: bool, nhwc: bool) -> Provider:
        """ONNX Runtime's provider for this device, on the main or the side stream."""
        from vavl_runtime.backends.ort.providers import cuda_options

        name, options = cuda_options(self.index, graphs=graphs)
        stream = self._side if side else self._main
        options |= {"user_compute_stream": str(stream.cuda_stream), "prefer_nhwc": "1" if nhwc else "0"}
        if fixed:  # kernels for one shape are chosen once
            options["cudnn_conv_algo_search"] = "EXHAUSTIVE"
        return name, options


def _driver() -> str:
    from vavl_bench.nvml import NvmlError, open_nvml

    try:
        with open_nvml() as nvml:
            return nvml.driver()
    except NvmlError as error:
        return f"unknown ({error})"


class CpuAccelerator:
    """A CPU in the place of a GPU: every line of the benchmark runs but CUDA's own, and no figure means anything."""

    device = "cpu"
    compiler = "aot_eager"

    def describe(self) -> dict[str, str]:
        """Name of the device and versions of what drives it."""
        return {"name": "CPU, dry run: no figure means anything"}

    def use(self) -> contextlib.AbstractContextManager[Any]:
        """Nothing to choose."""
        return contextlib.nullcontext()

    def aside(self) -> contextlib.AbstractContextManager[Any]:
        """Nothing to choose."""
        return contextlib.nullcontext()

    def join(self) -> None:
        """Nothing to wait for."""

    def synchronize(self) -> None:
        """Nothing to wait for."""

    def time(self, work: Work) -> tuple[float, float]:
        """Run something once; returns its milliseconds, twice."""
        start = time.perf_counter()
        work()
        milliseconds = 1000 * (time.perf_counter() - start)
        return milliseconds, milliseconds

    def capture(self, work: Work) -> Work:
        """Without graphs, a replay is a run."""
        return work

    def used_mib(self) -> float | None:
        """Not told apart from everything else in the process."""
        return None

    def release(self) -> None:
        """Nothing to give back."""

    def provider(self, *, side: bool, graphs: bool, fixed: bool, nhwc: bool) -> Provider:
        """ONNX Runtime's own provider for the CPU."""
        return "CPUExecutionProvider", {}


def open_accelerator(name: str) -> Accelerator:
    """Open ``cuda`` or ``cpu``."""
    return CudaAccelerator() if name == "cuda" else CpuAccelerator()

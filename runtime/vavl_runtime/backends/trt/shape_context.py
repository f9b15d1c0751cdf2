"""An execution context for one shape, and the CUDA graph that was captured from it."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vavl_runtime.backends.trt.buffers import Buffers
from vavl_runtime.backends.trt.engine_store import Shape
from vavl_runtime.backends.trt.library import TensorRt, last_errors
from vavl_runtime.bundle.manifest import GraphRecord
from vavl_runtime.devices.cuda import CapturedGraph, Cuda
from vavl_runtime.errors import BackendUnavailableError, EngineError, GraphFailedError

Shapes = Mapping[str, Shape]


@dataclass(frozen=True)
class Lane:
    """What the contexts of a graph run with.

    Attributes:
        library: TensorRT.
        log: Its logger.
        cuda: The GPU.
        stream: Where everything of the graph runs.
        setting_up: Held while a context is made or destroyed and while a graph is captured, in any lane: memory that is
            allocated or freed beside a capture may break it.
    """

    library: TensorRt
    log: Any
    cuda: Cuda
    stream: Any
    setting_up: threading.Lock

    def require(self, done: bool, what: str) -> None:
        """Raise what TensorRT wrote to its log, unless something was done.

        Raises:
            GraphFailedError: It was not.
        """
        if not done:
            raise GraphFailedError(f"TensorRT fails at {what}: {last_errors(self.log)}")


class ShapeContext:
    """A context whose shapes are set once. A captured graph reads them at every launch, so they must never change.

    Args:
        lane: What it runs with.
        engine: The deserialised engine.
        index: Number of the optimisation profile. Contexts may share one: TensorRT 10 and later allow it.
        record: The graph's signature.
        shapes: Shapes of the inputs.

    Attributes:
        outputs: Shapes of the outputs.
        graph: What `capture` made.

    Raises:
        EngineError: TensorRT refuses the context.
        BackendUnavailableError: TensorRT refuses the shapes.
    """

    def __init__(self, lane: Lane, engine: Any, index: int, record: GraphRecord, shapes: Shapes) -> None:
        self._lane = lane
        self._inputs = dict(shapes)
        self.graph: CapturedGraph | None = None
        # All contexts of a graph run in turn and share one piece of scratch memory.
        strategy = lane.library.module.ExecutionContextAllocationStrategy.USER_MANAGED
        self._context = engine.create_execution_context(strategy)
        if self._context is None:
            raise EngineError(
                f"{lane.library} makes no execution context: {last_errors(lane.log)}; free memory of the GPU"
            )
        try:
            self.outputs = self._set_up(index, record)
        except BaseException:
            self._context = None  # now: whoever keeps the error would keep the memory
            raise

    def bind(self, buffers: Buffers) -> None:
        """Take the buffers that all runs use."""
        self._buffers = buffers
        self._context.set_device_memory(buffers.scratch, buffers.scratch_bytes)
        for name, address in buffers.addresses().items():
            self._lane.require(self._context.set_tensor_address(name, address), f"binding {name}")

    def enqueue(self) -> None:
        """Send copies and computation to the stream, or launch the graph that was captured from them."""
        stream = self._lane.stream
        if self.graph is not None:
            self.graph.launch(stream)
            return
        self._buffers.copy_in(self._inputs.items(), stream)
        self._lane.require(self._context.execute_async_v3(int(stream)), "executing")
        self._buffers.copy_out(self.outputs.items(), stream)

    def capture(self) -> None:
        """Make a CUDA graph, after one run without it. Leaves ``graph`` None where the stream cannot be captured yet.

        Raises:
            BackendUnavailableError: The capture fails.
        """
        # TensorRT-RTX compiles kernels in the background and says when a stream may be captured.
        capturable = getattr(self._context, "is_stream_capturable", None)
        if capturable is not None and not capturable(int(self._lane.stream)):
            return
        with self._lane.cuda.capture(self._lane.stream) as graph:
            self.enqueue()
        self.graph = graph

    def _set_up(self, index: int, record: GraphRecord) -> dict[str, Shape]:
        lane = self._lane
        lane.require(self._context.set_optimization_profile_async(index, int(lane.stream)), "choosing a profile")
        lane.cuda.synchronize(lane.stream)
        for name, shape in self._inputs.items():
            lane.require(self._context.set_input_shape(name, shape), f"input {name} of shape {shape}")
        if missing := self._context.infer_shapes():
            raise BackendUnavailableError(f"TensorRT cannot infer shapes without {', '.join(missing)}")
        return {tensor.name: tuple(self._context.get_tensor_shape(tensor.name)) for tensor in record.outputs}

    def close(self) -> None:
        """Release the graph, then the context that it reads."""
        graph, self.graph = self.graph, None
        try:
            if graph is not None:
                graph.destroy()
        finally:
            self._context = None

"""One optimisation profile at work: an execution context, and a CUDA graph for each shape that it has seen."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vavl_runtime.backends.trt.buffers import Buffers
from vavl_runtime.backends.trt.engine_store import Profile, Shape
from vavl_runtime.backends.trt.library import TensorRt, last_errors
from vavl_runtime.bundle.manifest import GraphRecord
from vavl_runtime.devices.cuda import CapturedGraph, Cuda
from vavl_runtime.errors import BackendUnavailableError, EngineError, GraphFailedError

# A CUDA graph holds device memory. Rounded sizes are few: 12 s of sound are 24 steps, so this is only met by the
# pyramid of the face detector over many frame sizes.
MAX_KEPT_SHAPES = 64

Shapes = Mapping[str, Shape]


@dataclass
class _Seen:
    outputs: dict[str, Shape]
    graph: CapturedGraph


class ProfileRunner:
    """Runs one profile of an engine. The first run of a shape is plain and is captured as a CUDA graph for later runs.

    Args:
        library: TensorRT.
        log: Its logger.
        engine: The deserialised engine.
        index: Number of the profile in the engine.
        profile: Its shapes.
        record: The graph's signature.
        cuda: The GPU.
        stream: Where everything of this graph runs.

    Attributes:
        profile: Its shapes.
        captures: False once a graph could not be captured.

    Raises:
        EngineError: TensorRT refuses the context.
    """

    def __init__(
        self,
        library: TensorRt,
        log: Any,
        engine: Any,
        index: int,
        profile: Profile,
        record: GraphRecord,
        cuda: Cuda,
        stream: Any,
    ) -> None:
        self.profile = profile
        self.captures = True
        self._log = log
        self._record = record
        self._cuda = cuda
        self._stream = stream
        self._seen: OrderedDict[tuple[Shape, ...], _Seen] = OrderedDict()
        # All profiles of a graph share one piece of scratch memory, which is set later.
        strategy = library.module.ExecutionContextAllocationStrategy.USER_MANAGED
        self._context = engine.create_execution_context(strategy)
        if self._context is None:
            raise EngineError(f"{library} makes no execution context: {last_errors(log)}; free memory of the GPU")
        self._require(self._context.set_optimization_profile_async(index, int(stream)), "choosing a profile")
        cuda.synchronize(stream)

    def largest(self) -> dict[str, Shape]:
        """Largest shape of every input and output."""
        inputs = {name: bounds.max for name, bounds in self.profile.inputs.items()}
        return inputs | self._set_shapes(inputs)

    def bind(self, buffers: Buffers) -> None:
        """Take the buffers that all runs use."""
        self._buffers = buffers
        self._context.set_device_memory(buffers.scratch, buffers.scratch_bytes)
        for name, address in buffers.addresses().items():
            self._require(self._context.set_tensor_address(name, address), f"binding {name}")

    def run(self, shapes: Shapes) -> dict[str, Shape]:
        """Copy in, compute and copy out, and wait for it.

        Args:
            shapes: Shapes of the inputs that lie in the buffers.

        Returns:
            Shapes of the outputs that lie in the buffers now.

        Raises:
            BackendUnavailableError: TensorRT or CUDA fails.
        """
        key = tuple(shapes.values())
        if seen := self._seen.get(key):
            self._seen.move_to_end(key)
            seen.graph.launch(self._stream)
            self._cuda.synchronize(self._stream)
            return seen.outputs
        outputs = self._set_shapes(shapes)
        self._enqueue(shapes, outputs)
        self._cuda.synchronize(self._stream)
        graph = self._capture(shapes, outputs) if self.captures else None
        if graph is not None:
            self._keep(key, _Seen(outputs, graph))
        return outputs

    def close(self) -> None:
        """Release graphs and context."""
        for seen in self._seen.values():
            seen.graph.destroy()
        self._seen.clear()
        self._context = None

    def _keep(self, key: tuple[Shape, ...], seen: _Seen) -> None:
        self._seen[key] = seen
        if len(self._seen) > MAX_KEPT_SHAPES:
            _, oldest = self._seen.popitem(last=False)
            oldest.graph.destroy()

    def _set_shapes(self, shapes: Shapes) -> dict[str, Shape]:
        for name, shape in shapes.items():
            self._require(self._context.set_input_shape(name, shape), f"input {name} of shape {shape}")
        if missing := self._context.infer_shapes():
            raise BackendUnavailableError(f"TensorRT cannot infer shapes without {', '.join(missing)}")
        return {tensor.name: tuple(self._context.get_tensor_shape(tensor.name)) for tensor in self._record.outputs}

    def _enqueue(self, shapes: Shapes, outputs: Shapes) -> None:
        self._buffers.copy_in(shapes.items(), self._stream)
        self._require(self._context.execute_async_v3(int(self._stream)), "executing")
        self._buffers.copy_out(outputs.items(), self._stream)

    def _capture(self, shapes: Shapes, outputs: Shapes) -> CapturedGraph | None:
        # TensorRT-RTX compiles kernels in the background and says when a stream may be captured.
        capturable = getattr(self._context, "is_stream_capturable", None)
        if capturable is not None and not capturable(int(self._stream)):
            return None  # perhaps the next time
        try:
            with self._cuda.capture(self._stream) as graph:
                self._enqueue(shapes, outputs)
        except BackendUnavailableError:  # `captures` tells; runs go on without a graph
            self.captures = False
            return None
        return graph

    def _require(self, done: bool, what: str) -> None:
        if not done:
            raise GraphFailedError(f"TensorRT fails at {what}: {last_errors(self._log)}")

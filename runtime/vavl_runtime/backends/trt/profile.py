"""One optimisation profile at work: an execution context and a CUDA graph for each shape in use."""

from collections import OrderedDict
from typing import Any

from vavl_runtime.backends.trt.buffers import Buffers
from vavl_runtime.backends.trt.engine_store import Profile, Shape
from vavl_runtime.backends.trt.shape_context import Lane, ShapeContext, Shapes
from vavl_runtime.bundle.manifest import GraphRecord
from vavl_runtime.errors import BackendUnavailableError

# A context and its CUDA graph hold device memory. Clips of similar length need one or two, since sizes are rounded; the
# pyramid of the face detector needs about ten for each frame size.
MAX_KEPT_SHAPES = 16


class ProfileRunner:
    """Runs one profile of an engine. The first run of a shape is plain and is captured as a CUDA graph for later runs.

    Args:
        lane: What its contexts run with.
        engine: The deserialised engine.
        index: Number of the profile in the engine.
        profile: Its shapes.
        record: The graph's signature.

    Attributes:
        profile: Its shapes.
        captures: False once a graph could not be captured.
    """

    def __init__(self, lane: Lane, engine: Any, index: int, profile: Profile, record: GraphRecord) -> None:
        self.profile = profile
        self.captures = True
        self._lane = lane
        self._engine = engine
        self._index = index
        self._record = record
        self._kept: OrderedDict[tuple[Shape, ...], ShapeContext] = OrderedDict()  # the latest used last

    def largest(self) -> dict[str, Shape]:
        """Largest shape of every input and output.

        Raises:
            EngineError: TensorRT refuses a context.
        """
        inputs = {name: bounds.max for name, bounds in self.profile.inputs.items()}
        context = ShapeContext(self._lane, self._engine, self._index, self._record, inputs)
        context.close()
        return inputs | context.outputs

    def bind(self, buffers: Buffers) -> None:
        """Take the buffers that all runs use."""
        self._buffers = buffers

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
        context = self._kept.get(key) or self._make(key, shapes)
        self._kept.move_to_end(key)
        context.enqueue()
        self._lane.cuda.synchronize(self._lane.stream)
        if context.graph is None and self.captures:
            with self._lane.setting_up:
                try:
                    context.capture()
                except BackendUnavailableError:  # `captures` tells; runs go on without a graph
                    self.captures = False
        return context.outputs

    def close(self) -> None:
        """Release graphs and contexts, and forget the engine."""
        while self._kept:
            self._kept.popitem()[1].close()
        self._engine = None

    def _make(self, key: tuple[Shape, ...], shapes: Shapes) -> ShapeContext:
        with self._lane.setting_up:
            while len(self._kept) >= MAX_KEPT_SHAPES:
                self._kept.popitem(last=False)[1].close()
            context = ShapeContext(self._lane, self._engine, self._index, self._record, shapes)
            try:
                context.bind(self._buffers)
            except BaseException:
                context.close()
                raise
            self._kept[key] = context
        return context

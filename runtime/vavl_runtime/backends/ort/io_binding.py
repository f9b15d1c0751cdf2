"""One ONNX Runtime session on a GPU, with buffers, bindings and CUDA graphs kept for repeated shapes."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vavl_runtime.backends.base import Arrays
from vavl_runtime.bundle.manifest import GraphRecord
from vavl_runtime.devices.pinned import PinnedMemory

# A kept shape holds its buffers. Real clips repeat few shapes: whole windows, full batches of faces, the pyramid of one
# frame size.
MAX_KEPT_SHAPES = 16
MAX_REMEMBERED_SHAPES = 256
# ONNX Runtime may release captured graphs with the session only, so their number is bounded. Their intermediate tensors
# cost nothing: all share one arena.
MAX_CAPTURED_SHAPES = 128
MAX_CAPTURE_ATTEMPTS = 3  # for each shape; what broke a capture may be gone the next time
_NO_GRAPH = "-1"

Shapes = tuple[tuple[int, ...], ...]


@dataclass
class _Kept:
    """Device buffers at fixed addresses for one set of input shapes.

    Attributes:
        binding: Binds them.
        inputs: Device buffers by name.
        outputs: Device buffers by name.
        staging: Page-locked arrays by name, for inputs and outputs; empty without such memory.
        graph_id: ONNX Runtime captures on the first run with an id and replays afterwards.
        attempts: How often a capture may still be tried; 0 to run without a CUDA graph.
        captured: The graph is there.
    """

    binding: Any
    inputs: dict[str, Any]
    outputs: dict[str, Any]
    staging: dict[str, NDArray[Any]]
    graph_id: str
    attempts: int
    captured: bool = False


class GpuBinding:
    """Runs a session. A shape seen for the second time gets buffers of its own, and a CUDA graph if those are on.

    The least recently used of more than `MAX_KEPT_SHAPES` shapes loses its buffers and its graph. ONNX Runtime keeps
    the buffers' memory for later ones. It is asked to release the graph; on the CUDA provider of 1.30 that does
    nothing, and the graph, which is never run again, stays until the session is closed. All methods must be called in
    the thread that opened the session.

    Args:
        runtime: The onnxruntime module.
        session: A session on a GPU provider.
        record: Its signature.
        index: The GPU.
        graphs: The session captures CUDA graphs.
        pinned: Where copies to and from the device are staged; None to copy from the arrays that come.

    Attributes:
        failed_captures: How often a CUDA graph could not be captured, or its buffers not be made; these runs went on
            without.
        full: `MAX_CAPTURED_SHAPES` were captured, so further shapes run without a CUDA graph.
    """

    def __init__(
        self, runtime: Any, session: Any, record: GraphRecord, index: int, *, graphs: bool, pinned: PinnedMemory | None
    ) -> None:
        self._runtime = runtime
        self._session = session
        self._record = record
        self._index = index
        self._graphs = graphs
        self._pinned = pinned
        self._kept: OrderedDict[Shapes, _Kept] = OrderedDict()  # the least recently used first
        self._output_shapes: dict[Shapes, Shapes] = {}  # of shapes seen so far
        self._last_id = 0
        self._captured = 0
        self.failed_captures = 0
        self.full = False

    def run(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Run the session.

        Args:
            inputs: Checked inputs by name.

        Returns:
            Outputs by name, in memory of the host.
        """
        shapes = tuple(inputs[tensor.name].shape for tensor in self._record.inputs)
        kept = self._kept.get(shapes)
        if kept is None and shapes in self._output_shapes:
            kept = self._keep(shapes)
        if kept is None:
            return self._run_once(shapes, inputs)
        self._kept.move_to_end(shapes)
        return self._run_kept(kept, inputs)

    def close(self) -> None:
        """Release buffers, CUDA graphs and the session."""
        while self._kept:
            self._release(self._kept.popitem()[1])
        self._session = None

    def _run_once(self, shapes: Shapes, inputs: Arrays) -> dict[str, NDArray[Any]]:
        names = [tensor.name for tensor in self._record.outputs]
        values = self._session.run(names, dict(inputs), self._run_options(_NO_GRAPH))
        while len(self._output_shapes) >= MAX_REMEMBERED_SHAPES:
            del self._output_shapes[next(iter(self._output_shapes))]
        self._output_shapes[shapes] = tuple(value.shape for value in values)
        return dict(zip(names, values, strict=True))

    def _keep(self, shapes: Shapes) -> _Kept | None:
        """Make buffers for a shape in place of the least recently used; None if there is no memory for them."""
        while len(self._kept) >= MAX_KEPT_SHAPES:
            self._release(self._kept.popitem(last=False)[1])
        kept = _Kept(self._session.io_binding(), {}, {}, {}, str(self._last_id + 1), MAX_CAPTURE_ATTEMPTS)
        try:
            self._allocate(kept, shapes)
        except Exception:  # of ONNX Runtime or the driver; the run goes on without buffers of its own, and is counted
            self._release(kept)
            self.failed_captures += 1
            return None
        self._last_id += 1
        if not self._graphs or self._captured >= MAX_CAPTURED_SHAPES:
            self.full = self._graphs
            kept.attempts = 0
        self._kept[shapes] = kept
        return kept

    def _allocate(self, kept: _Kept, shapes: Shapes) -> None:
        record = self._record
        given = {t.name: (t.dtype, shape) for t, shape in zip(record.inputs, shapes, strict=True)}
        made = {t.name: (t.dtype, shape) for t, shape in zip(record.outputs, self._output_shapes[shapes], strict=True)}
        for name, (dtype, shape) in (given | made).items():
            element = np.dtype(dtype).type
            buffer = self._runtime.OrtValue.ortvalue_from_shape_and_type(shape, element, "cuda", self._index)
            if name in given:
                kept.inputs[name] = buffer
                kept.binding.bind_ortvalue_input(name, buffer)
            else:
                kept.outputs[name] = buffer
                kept.binding.bind_ortvalue_output(name, buffer)
            if self._pinned is not None:
                kept.staging[name] = self._pinned.array(shape, dtype)

    def _release(self, kept: _Kept) -> None:
        release = getattr(self._session, "release_captured_graph", None)  # since 1.30
        if kept.captured and release is not None:
            release(int(kept.graph_id))
        kept.inputs.clear()
        kept.outputs.clear()
        kept.binding = None
        while kept.staging and self._pinned is not None:
            self._pinned.free(kept.staging.popitem()[1])

    def _run_kept(self, kept: _Kept, inputs: Arrays) -> dict[str, NDArray[Any]]:
        for name, value in kept.inputs.items():
            source = np.ascontiguousarray(inputs[name])
            if name in kept.staging:
                np.copyto(kept.staging[name], source)
                source = kept.staging[name]
            value.update_inplace(source)
        self._compute(kept)
        return {name: self._read(name, value, kept) for name, value in kept.outputs.items()}

    def _compute(self, kept: _Kept) -> None:
        if kept.captured:
            self._session.run_with_iobinding(kept.binding, self._run_options(kept.graph_id))
            return
        if kept.attempts:
            try:
                self._session.run_with_iobinding(kept.binding, self._run_options(kept.graph_id))
            except (
                Exception
            ):  # ONNX Runtime's exception types are private; a run that fails without capture, too, raises
                kept.attempts -= 1
                self.failed_captures += 1
            else:
                kept.captured = True
                self._captured += 1
                return
        self._session.run_with_iobinding(kept.binding, self._run_options(_NO_GRAPH))

    def _read(self, name: str, value: Any, kept: _Kept) -> NDArray[Any]:
        if self._pinned is None:
            return value.numpy()  # type: ignore[no-any-return]
        staged = kept.staging[name]
        self._pinned.copy_out(value.data_ptr(), staged)
        return np.array(staged)

    def _run_options(self, graph_id: str) -> Any:
        if not self._graphs:
            return None
        options = self._runtime.RunOptions()
        options.add_run_config_entry("gpu_graph_id", graph_id)
        return options

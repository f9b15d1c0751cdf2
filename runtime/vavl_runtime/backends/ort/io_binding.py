"""One ONNX Runtime session on a GPU, with buffers, bindings and CUDA graphs kept for repeated shapes."""

import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vavl_runtime.backends.base import Arrays
from vavl_runtime.bundle.manifest import GraphRecord

# A kept shape holds its buffers, and a CUDA graph the memory of every intermediate tensor. Real clips repeat few
# shapes: whole windows, full batches of faces, the pyramid of one frame size.
MAX_KEPT_SHAPES = 16
MAX_REMEMBERED_SHAPES = 256
_NO_GRAPH = "-1"

Shapes = tuple[tuple[int, ...], ...]


@dataclass
class _Kept:
    """Device buffers at fixed addresses for one set of input shapes."""

    binding: Any
    inputs: dict[str, Any]
    outputs: dict[str, Any]
    options: Any


class GpuBinding:
    """Runs a session. A shape seen for the second time gets buffers of its own, and a CUDA graph if those are on.

    Args:
        runtime: The onnxruntime module.
        session: A session on a GPU provider.
        record: Its signature.
        index: The GPU.
        graphs: The session captures CUDA graphs.

    Attributes:
        full: `MAX_KEPT_SHAPES` shapes are kept, so a further repeated shape ran without own buffers and CUDA graph.
    """

    def __init__(self, runtime: Any, session: Any, record: GraphRecord, index: int, *, graphs: bool) -> None:
        self._runtime = runtime
        self._session = session
        self._record = record
        self._index = index
        self._graphs = graphs
        self.full = False
        self._kept: dict[Shapes, _Kept] = {}
        self._output_shapes: dict[Shapes, Shapes] = {}  # of shapes seen so far
        self._lock = threading.Lock()  # the buffers serve one run at a time

    def run(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Run the session.

        Args:
            inputs: Checked inputs by name.

        Returns:
            Outputs by name, in memory of the host.
        """
        shapes = tuple(inputs[tensor.name].shape for tensor in self._record.inputs)
        with self._lock:
            if shapes not in self._kept:
                came_back = shapes in self._output_shapes
                self.full |= came_back and len(self._kept) == MAX_KEPT_SHAPES
                if not came_back or self.full:
                    return self._run_once(shapes, inputs)
                self._kept[shapes] = self._keep(shapes)
            return self._run_kept(self._kept[shapes], inputs)

    def _run_once(self, shapes: Shapes, inputs: Arrays) -> dict[str, NDArray[Any]]:
        names = [tensor.name for tensor in self._record.outputs]
        values = self._session.run(names, dict(inputs), self._run_options(_NO_GRAPH))
        while len(self._output_shapes) >= MAX_REMEMBERED_SHAPES:
            del self._output_shapes[next(iter(self._output_shapes))]
        self._output_shapes[shapes] = tuple(value.shape for value in values)
        return dict(zip(names, values, strict=True))

    def _keep(self, shapes: Shapes) -> _Kept:
        def on_device(dtype: str, shape: tuple[int, ...]) -> Any:
            element = np.dtype(dtype).type
            return self._runtime.OrtValue.ortvalue_from_shape_and_type(shape, element, "cuda", self._index)

        record, output_shapes = self._record, self._output_shapes[shapes]
        binding = self._session.io_binding()
        inputs = {t.name: on_device(t.dtype, shape) for t, shape in zip(record.inputs, shapes, strict=True)}
        outputs = {t.name: on_device(t.dtype, shape) for t, shape in zip(record.outputs, output_shapes, strict=True)}
        for name, value in inputs.items():
            binding.bind_ortvalue_input(name, value)
        for name, value in outputs.items():
            binding.bind_ortvalue_output(name, value)
        return _Kept(binding, inputs, outputs, self._run_options(str(len(self._kept) + 1)))

    def _run_kept(self, kept: _Kept, inputs: Arrays) -> dict[str, NDArray[Any]]:
        for name, value in kept.inputs.items():
            value.update_inplace(np.ascontiguousarray(inputs[name]))
        self._session.run_with_iobinding(kept.binding, kept.options)
        return {name: value.numpy() for name, value in kept.outputs.items()}

    def _run_options(self, graph_id: str) -> Any:
        """One id for each shape: ONNX Runtime captures on the first run with an id and replays afterwards."""
        if not self._graphs:
            return None
        options = self._runtime.RunOptions()
        options.add_run_config_entry("gpu_graph_id", graph_id)
        return options

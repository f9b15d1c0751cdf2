"""Opens graphs on ONNX Runtime's CPU to check them: as they are, or emulated where the CPU has no kernels for them."""

from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray

from vavl_export.precision.emulate import emulate
from vavl_runtime.backends.ort.session import CPU, import_onnxruntime
from vavl_runtime.bundle import Bundle
from vavl_runtime.bundle.golden import Arrays
from vavl_runtime.bundle.manifest import Precision

_RUNTIME = import_onnxruntime()  # now, so that a missing one is not taken for a graph that fails

RunMode = Literal["run", "emulated"]

# ONNX Runtime's CPU computes fp16 graphs mostly in fp32 between casts, and has no kernels for most of bf16.
RUN_MODES: dict[Precision, tuple[RunMode, ...]] = {
    "fp32": ("run",),
    "fp16": ("run", "emulated"),
    "bf16": ("emulated",),
    "int8": ("run",),
}


def open_session(graph: onnx.ModelProto | Path, *, optimize: bool = True) -> Any:
    """Open a graph on the CPU.

    Args:
        graph: The graph's file, or the graph with its weights inside.
        optimize: Let ONNX Runtime optimise the graph.

    Returns:
        The session.
    """
    options = _RUNTIME.SessionOptions()
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # several are open at once
    if not optimize:
        options.graph_optimization_level = _RUNTIME.GraphOptimizationLevel.ORT_DISABLE_ALL
    source = graph if isinstance(graph, Path) else graph.SerializeToString()
    return _RUNTIME.InferenceSession(source, options, providers=[CPU])


class CheckedGraph:
    """A graph of a bundle, open on the CPU.

    Args:
        bundle: The bundle.
        name: The graph.
        precision: ``fp32``, or a precision that the graph has a variant in.
        mode: ``run`` as it is, or ``emulated``.
        model: The graph with its weights inside, if it is loaded already or not in the bundle yet.
    """

    def __init__(
        self, bundle: Bundle, name: str, precision: Precision, mode: RunMode, model: onnx.ModelProto | None = None
    ) -> None:
        self.name = name
        self.precision = precision
        self.mode = mode
        self.outputs = [tensor.name for tensor in bundle.manifest.graphs[name].outputs]
        graph = bundle.graph_file(name, precision, "cpu") if model is None else model
        if mode == "emulated":
            loaded = graph if isinstance(graph, onnx.ModelProto) else onnx.load(graph)
            self._session = open_session(emulate(loaded, precision), optimize=False)
        else:
            self._session = open_session(graph)

    def run(self, inputs: Arrays) -> dict[str, "NDArray[np.generic]"]:
        """Run the graph; outputs come by name."""
        values: list[Any] = self._session.run(self.outputs, inputs)
        return dict(zip(self.outputs, values, strict=True))

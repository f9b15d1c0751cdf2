"""How variants are run to be checked: as they are, or emulated where this machine has no kernels for them."""

from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray

from vavl_export.golden import Arrays
from vavl_export.precision.activation_stats import open_session
from vavl_export.precision.emulate import emulate
from vavl_runtime.bundle import Bundle
from vavl_runtime.bundle.manifest import Precision

How = Literal["run", "emulated"]

# ONNX Runtime's CPU runs fp16 graphs in fp32 between casts, and refuses most of bf16.
WAYS: dict[Precision, tuple[How, ...]] = {
    "fp32": ("run",),
    "fp16": ("run", "emulated"),
    "bf16": ("emulated",),
    "int8": ("run",),
}


class CheckedGraph:
    """A graph of a bundle, open on the CPU.

    Args:
        bundle: The bundle.
        name: The graph.
        precision: ``fp32`` or a variant that the graph has.
        how: ``run`` as it is, or ``emulated``.
        variant: A variant that is not in the bundle yet, weights inside.
    """

    def __init__(
        self, bundle: Bundle, name: str, precision: Precision, how: How, variant: onnx.ModelProto | None = None
    ) -> None:
        self.name = name
        self.precision = precision
        self.how = how
        record = bundle.manifest.graphs[name]
        self.outputs = [tensor.name for tensor in record.outputs]
        graph = bundle.graph_file(name, precision, cpu=True) if variant is None else variant
        if how == "emulated":
            exact = graph if isinstance(graph, onnx.ModelProto) else onnx.load(graph)
            self._session = open_session(emulate(exact, precision), optimize=False)
        else:
            self._session = open_session(graph)

    def run(self, inputs: Arrays) -> dict[str, "NDArray[np.generic]"]:
        """Run it; outputs come by name."""
        values: list[Any] = self._session.run(self.outputs, inputs)
        return dict(zip(self.outputs, values, strict=True))

"""What an inference engine must offer; everything above it is written against this protocol."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from vavl_runtime.bundle.manifest import GraphRecord
from vavl_runtime.errors import InvalidArrayError

Arrays = Mapping[str, NDArray[Any]]


class Backend(Protocol):
    """Runs graphs by name."""

    @property
    def overlaps(self) -> bool:
        """Whether two threads may load and run different graphs at the same time, and get done sooner by it."""

    def load(self, name: str, file: Path, record: GraphRecord) -> None:
        """Load a verified graph file under a name.

        Raises:
            BackendUnavailableError: The engine or its device is missing, or refuses the graph.
        """

    def run(self, name: str, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Run a loaded graph.

        Raises:
            InvalidArrayError: An input is missing or has a wrong dtype or shape.
        """

    def describe(self) -> str:
        """Say in a few words what really runs: engine, version, device."""

    def close(self) -> None:
        """Release the loaded graphs."""


def check_inputs(name: str, record: GraphRecord, inputs: Arrays) -> None:
    """Compare inputs with a graph's signature.

    Args:
        name: The graph's name, for messages.
        record: Its signature.
        inputs: What came.

    Raises:
        InvalidArrayError: Wrong names, dtypes, ranks, fixed sizes, or sizes that should be equal.
    """
    expected = {tensor.name: tensor for tensor in record.inputs}
    if inputs.keys() != expected.keys():
        raise InvalidArrayError(f"graph {name}: got inputs {sorted(inputs)}, expected {sorted(expected)}")
    sizes: dict[str, int] = {}
    for key, tensor in expected.items():
        value = inputs[key]
        fits = isinstance(value, np.ndarray) and value.dtype == tensor.dtype and value.ndim == len(tensor.shape)
        if fits:
            for size, axis in zip(value.shape, tensor.shape, strict=True):
                wanted = sizes.setdefault(axis, size) if isinstance(axis, str) else axis
                fits = fits and size == wanted and size > 0
        if not fits:
            came = f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__
            raise InvalidArrayError(f"graph {name}, input {key}: got {came}, expected {tensor.dtype} {tensor.shape}")

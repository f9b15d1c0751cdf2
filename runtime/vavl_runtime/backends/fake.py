"""A backend that computes nothing, for tests of everything above a backend."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vavl_runtime.backends.base import Arrays, BackendInfo, check_inputs
from vavl_runtime.bundle.manifest import GraphRecord

Answer = Callable[[str, Arrays], dict[str, NDArray[Any]]]


class FakeBackend:
    """Answers every graph with zeros of the right shape, or with what a function says.

    Args:
        answer: Called with the graph's name and inputs; None for zeros.
        overlaps: See `Backend.overlaps`.
        device: Where it says that it runs.
    """

    def __init__(self, answer: Answer | None = None, *, overlaps: bool = False, device: str = "cpu") -> None:
        self._answer = answer
        self.reentrant = True
        self.overlaps = overlaps
        self._device = device
        self._records: dict[str, GraphRecord] = {}
        self.calls: list[str] = []

    def load(self, name: str, file: Path, record: GraphRecord) -> None:
        """Remember a graph's signature."""
        self._records[name] = record

    def run(self, name: str, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Check the inputs like a real backend and answer."""
        record = self._records[name]
        check_inputs(name, record, inputs)
        self.calls.append(name)
        if self._answer is not None:
            return self._answer(name, inputs)
        sizes = {
            axis: size
            for tensor in record.inputs
            for axis, size in zip(tensor.shape, inputs[tensor.name].shape, strict=True)
            if isinstance(axis, str)
        }
        return {
            tensor.name: np.zeros([sizes.get(a, 1) if isinstance(a, str) else a for a in tensor.shape], tensor.dtype)
            for tensor in record.outputs
        }

    @property
    def info(self) -> BackendInfo:
        """Says that nothing is computed."""
        return BackendInfo("fake", device=self._device)

    def close(self) -> None:
        """Forget the graphs."""
        self._records.clear()

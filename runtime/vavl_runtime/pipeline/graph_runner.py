"""The graphs of a bundle, loaded when first used and never before their hashes are checked."""

from typing import Any

from numpy.typing import NDArray

from vavl_runtime.backends.base import Arrays, Backend
from vavl_runtime.bundle import Bundle
from vavl_runtime.bundle.precision import PrecisionChoice, choose_precisions
from vavl_runtime.errors import BackendUnavailableError
from vavl_runtime.timing import StageTimer


class GraphRunner:
    """Runs a bundle's graphs by name; different graphs from two threads at once where the backend overlaps them.

    Args:
        bundle: An opened bundle.
        backend: Where graphs run.
        precision: See `vavl_runtime.bundle.precision.choose_precisions`.
        gpu: Whether the backend runs them on a GPU; ``auto`` depends on it, and so does the form of int8 graphs.

    Attributes:
        precisions: Precision by graph name.

    Raises:
        InputError: No such precision.
        VariantMissingError: The bundle lacks graphs of this precision.
    """

    def __init__(
        self, bundle: Bundle, backend: Backend, precision: PrecisionChoice = "fp32", *, gpu: bool = False
    ) -> None:
        self.bundle = bundle
        self.backend = backend
        self.precisions = choose_precisions(bundle.manifest, precision, gpu=gpu)
        self._gpu = gpu
        self._loaded: set[str] = set()
        self._closed = False

    def run(self, name: str, timer: StageTimer, stage: str, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Run a graph, loading it first if need be.

        Args:
            name: A graph of the manifest.
            timer: Loading is booked as ``load``, running as ``stage``.
            stage: Name of the stage.
            inputs: Inputs by name.

        Returns:
            Outputs by name.
        """
        self.load(name, timer)
        with timer.stage(stage):
            return self.backend.run(name, inputs)

    def load(self, name: str, timer: StageTimer) -> None:
        """Load a graph unless it is loaded.

        Args:
            name: A graph of the manifest.
            timer: Loading is booked as ``load``.
        """
        if self._closed:
            raise BackendUnavailableError("the recogniser is closed; make a new one")
        if name not in self._loaded:
            with timer.stage("load"):
                precision = self.precisions[name]
                record = self.bundle.manifest.graphs[name].in_precision(precision, cpu=not self._gpu)
                self.backend.load(name, self.bundle.graph_file(name, precision, cpu=not self._gpu), record)
            self._loaded.add(name)

    def close(self) -> None:
        """Release the graphs and what an archive unpacked."""
        self._closed = True
        self.backend.close()
        self.bundle.close()

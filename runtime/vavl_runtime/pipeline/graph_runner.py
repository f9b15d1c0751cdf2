"""The graphs of a bundle, loaded when first used and never before their hashes are checked."""

import contextlib
import threading
from typing import Any

from numpy.typing import NDArray

from vavl_runtime.backends.base import Arrays, Backend
from vavl_runtime.bundle import Bundle
from vavl_runtime.bundle.manifest import REQUIRED_GRAPHS
from vavl_runtime.bundle.precision import PrecisionChoice, choose_precisions
from vavl_runtime.errors import BackendUnavailableError
from vavl_runtime.timing import StageTimer


class GraphRunner:
    """Runs a bundle's graphs by name, from any number of threads at once.

    Each graph is loaded once, by the first thread that needs it; the others wait. Backends that are not reentrant run
    one call at a time, or one call of each graph where they overlap different graphs.

    Args:
        bundle: An opened bundle.
        backend: Where graphs run.
        precision: See `vavl_runtime.bundle.precision.choose_precisions`.

    Attributes:
        precisions: Precision by graph name.

    Raises:
        InputError: No such precision.
        VariantMissingError: The bundle lacks graphs of this precision.
    """

    def __init__(self, bundle: Bundle, backend: Backend, precision: PrecisionChoice = "fp32") -> None:
        self.bundle = bundle
        self.backend = backend
        self._on_gpu = backend.info.on_gpu
        self.precisions = choose_precisions(bundle.manifest, precision, gpu=self._on_gpu)
        self._loaded: set[str] = set()
        self._closed = False
        self._loading = threading.Lock()
        shared = threading.Lock()
        self._running = {name: threading.Lock() if backend.overlaps else shared for name in self.precisions}

    def run(self, name: str, inputs: Arrays, timer: StageTimer) -> dict[str, NDArray[Any]]:
        """Run a graph, loading it first if needed.

        Args:
            name: A graph of the manifest.
            inputs: Inputs by name.
            timer: Loading is booked as ``load``; running on the stage that the caller has open.

        Returns:
            Outputs by name.
        """
        self.load(name, timer)
        with contextlib.nullcontext() if self.backend.reentrant else self._running[name]:
            return self.backend.run(name, inputs)

    def load(self, name: str, timer: StageTimer) -> None:
        """Load a graph unless it is loaded.

        Args:
            name: A graph of the manifest.
            timer: Loading is booked as ``load``.

        Raises:
            BackendUnavailableError: The backend refuses the graph, or is closed.
        """
        if name in self._loaded and not self._closed:
            return
        with self._loading:
            if self._closed:
                raise BackendUnavailableError("the recogniser is closed; make a new one")
            if name in self._loaded:  # by another thread, while this one waited
                return
            with timer.stage("load"):
                precision = self.precisions[name]
                record = self.bundle.manifest.graphs[name].in_precision(precision, cpu=not self._on_gpu)
                self.backend.load(name, self.bundle.graph_file(name, precision, cpu=not self._on_gpu), record)
            self._loaded.add(name)

    def warm_up(self) -> None:
        """Load every graph that clips need, and run each once on its first golden vector."""
        timer = StageTimer()
        for name in sorted(REQUIRED_GRAPHS):
            self.run(name, self.bundle.golden_inputs(name), timer)

    def close(self) -> None:
        """Release the loaded graphs."""
        with self._loading:
            self._closed = True
            self.backend.close()

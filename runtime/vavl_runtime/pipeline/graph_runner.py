"""The graphs of a bundle, each loaded when first used, from a copy that nobody can change."""

import contextlib
import threading
from typing import Any

from numpy.typing import NDArray

from vavl_runtime.backends.base import DEFAULT_FACE_BATCH, Arrays, Backend, check_outputs
from vavl_runtime.bundle import Bundle
from vavl_runtime.bundle.golden import require_golden_cases
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
        self._runs_on = backend.info.runs_on
        self.precisions = choose_precisions(bundle.manifest, precision, gpu=backend.info.on_gpu)
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
            Outputs by name, as announced, all of them finite.

        Raises:
            GraphFailedError: The backend fails, or computes NaN, infinity or another shape than announced.
        """
        self.load(name, timer)
        with contextlib.nullcontext() if self.backend.reentrant else self._running[name]:
            outputs = self.backend.run(name, inputs)
        check_outputs(name, self.bundle.manifest.graphs[name], inputs, outputs)
        return outputs

    def check_files(self) -> None:
        """Compare every file that clips need with its hash, so that a damaged bundle is refused before the first clip.

        Raises:
            BundleError: A file is missing or altered.
        """
        for name in sorted(REQUIRED_GRAPHS):
            self.bundle.graph_file(name, self.precisions[name], self._runs_on)

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
                record = self.bundle.manifest.graphs[name].in_precision(precision, self._runs_on)
                with self.bundle.sealed_graph(name, precision, self._runs_on) as file:
                    self.backend.load(name, file, record)
            self._loaded.add(name)

    def face_batch(self, timer: StageTimer) -> int:
        """How many faces one run of ``face_encoder`` should take; loads that graph, which may decide it.

        Args:
            timer: Loading is booked as ``load``.
        """
        self.load("face_encoder", timer)
        return int(getattr(self.backend, "face_batch", DEFAULT_FACE_BATCH))

    def warm_up(self) -> None:
        """Load every graph that clips need, and run each once on its first golden vector."""
        timer = StageTimer()
        for name in sorted(REQUIRED_GRAPHS):
            inputs, _ = require_golden_cases(self.bundle, name)[0]
            self.run(name, inputs, timer)

    def close(self) -> None:
        """Release the loaded graphs."""
        with self._loading:
            self._closed = True
            self.backend.close()

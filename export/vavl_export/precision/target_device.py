"""Runs the graphs of a bundle on a device and backend that a user names, as the runtime itself would run them."""

from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType

from vavl_export.errors import ExportError
from vavl_export.precision.drift import GraphDrift, Run, compare
from vavl_export.precision.sessions import RUN_MODES
from vavl_export.progress import Progress
from vavl_runtime.backends.base import Backend
from vavl_runtime.backends.choice import Chosen, choose_backend
from vavl_runtime.backends.trt.engine_store import engine_folders
from vavl_runtime.bundle import Bundle
from vavl_runtime.bundle.golden import Arrays, Case, golden_cases
from vavl_runtime.bundle.manifest import Precision
from vavl_runtime.errors import EngineError, InvalidArrayError


@dataclass(frozen=True)
class TargetGraph:
    """A graph that is loaded on the target.

    Attributes:
        name: The graph's name.
        precision: ``fp32``, or a precision that the graph has a variant in.
        backend: The backend that runs it.
    """

    name: str
    precision: Precision
    backend: Backend

    def run(self, inputs: Arrays) -> Arrays:
        """Run the graph; outputs come by name."""
        return self.backend.run(self.name, inputs)


class TargetDevice:
    """A bundle on a target: one backend for each precision, chosen as the runtime chooses it.

    Args:
        bundle: The bundle.
        device: ``auto``, ``cpu`` or ``cuda:N``.
        backend: ``auto``, ``onnxruntime``, ``onnxruntime-tensorrt`` or ``tensorrt``.
        progress: Called with a line of text about each backend that was skipped.

    Attributes:
        title: Device and backend as the user named them.

    Raises:
        InputError: An unknown device or backend.
        BackendUnavailableError: The device or the backend is missing.
    """

    def __init__(self, bundle: Bundle, device: str, backend: str, progress: Progress) -> None:
        self.title = " ".join(name for name in (device, backend) if name != "auto") or "auto"
        self._bundle = bundle
        self._device = device
        self._backend = backend
        self._progress = progress
        self._chosen: dict[Precision, Chosen] = {}
        self._graphs: dict[tuple[str, Precision], TargetGraph] = {}
        self.choose("fp32")  # report a missing device before anything is measured

    def __enter__(self) -> "TargetDevice":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for chosen in self._chosen.values():
            chosen.backend.close()

    def choose(self, precision: Precision) -> Chosen:
        """Choose the backend for a precision; the same one every time."""
        if precision not in self._chosen:
            chosen = choose_backend(self._device, self._backend, bundle=self._bundle, precision=precision)
            if chosen.skipped_backends:
                skipped = "; ".join(chosen.skipped_backends)
                self._progress(f"{self.title}, {precision}: {chosen.backend.info} ({skipped})")
            self._chosen[precision] = chosen
        return self._chosen[precision]

    def listed(self) -> Iterator[tuple[str, Precision]]:
        """List every graph of the bundle in every precision that it has, fp32 first."""
        graphs = self._bundle.manifest.graphs
        yield from ((name, graph.precision) for name, graph in graphs.items())
        yield from ((name, precision) for name, graph in graphs.items() for precision in graph.variants)

    def open(self, name: str, precision: Precision) -> TargetGraph | str:
        """Load a graph, or return it if it is loaded already.

        Args:
            name: The graph.
            precision: ``fp32``, or a precision that the graph has a variant in.

        Returns:
            The graph. If this target cannot have it, the reason: its engine was never built, or the processor has no
            kernels for the precision.

        Raises:
            BackendUnavailableError: The backend refuses a graph that it should run.
        """
        if (name, precision) in self._graphs:
            return self._graphs[name, precision]
        chosen = self.choose(precision)
        runs_on = chosen.backend.info.runs_on
        if runs_on == "cpu" and "run" not in RUN_MODES[precision]:
            return f"{chosen.backend.info} has no kernels for {precision}; emulated above"
        record = self._bundle.manifest.graphs[name].in_precision(precision, runs_on)
        try:
            chosen.backend.load(name, self._bundle.graph_file(name, precision, runs_on), record)
        except EngineError as error:
            if engine_folders(self._bundle.root, name, precision):
                raise  # an engine exists, and something is wrong with it
            return f"not built: {error}"
        graph = TargetGraph(name, precision, chosen.backend)
        self._graphs[name, precision] = graph
        return graph


def measure_on_target(bundle: Bundle, graph: TargetGraph) -> tuple[GraphDrift | None, list[str]]:
    """Compare a graph with PyTorch on its golden inputs.

    Args:
        bundle: The bundle.
        graph: The graph on its target.

    Returns:
        The graph's drift, None if the target serves none of the inputs; and the reason for each input that it does not
        serve.

    Raises:
        ExportError: The bundle has no golden inputs for the graph.
        BackendUnavailableError: The backend fails.
    """
    cases = golden_cases(bundle, graph.name)
    if not cases:
        raise ExportError(f"graph {graph.name}: the bundle has no golden vectors for it; export the bundle again")
    refused: list[str] = []
    runs = list(_served(graph, cases, refused))
    if not runs:
        return None, refused
    return compare(bundle, graph.name, graph.precision, str(graph.backend.info), "golden", runs), refused


def _served(graph: TargetGraph, cases: list[Case], refused: list[str]) -> Iterator[Run]:
    for fed, expected in cases:
        try:
            yield fed, expected, graph.run(fed)
        except InvalidArrayError as error:  # an engine serves only the sizes that it was built for
            refused.append(str(error))

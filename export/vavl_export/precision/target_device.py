"""The graphs of a bundle on a named device and backend: what a user of them would really run."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType

from vavl_export.errors import ExportError
from vavl_export.golden import Arrays
from vavl_export.precision.drift import Case, GraphDrift, Run, compare, golden_cases
from vavl_export.precision.sessions import WAYS
from vavl_runtime.backends.base import Backend
from vavl_runtime.backends.choice import Chosen, choose_backend
from vavl_runtime.backends.trt.engine_store import engine_folders
from vavl_runtime.bundle import Bundle
from vavl_runtime.bundle.manifest import Precision
from vavl_runtime.errors import EngineError, InvalidArrayError


@dataclass(frozen=True)
class TargetGraph:
    """A loaded graph.

    Attributes:
        name: Its name.
        precision: ``fp32`` or a variant that the graph has.
        backend: What runs it.
    """

    name: str
    precision: Precision
    backend: Backend

    def run(self, inputs: Arrays) -> Arrays:
        """Run it; outputs come by name."""
        return self.backend.run(self.name, inputs)


class TargetGraphs:
    """A bundle on a target: one backend for each precision, chosen as the runtime chooses it.

    Args:
        bundle: The bundle.
        device: ``auto``, ``cpu`` or ``cuda:N``.
        backend: ``auto``, ``onnxruntime``, ``onnxruntime-tensorrt`` or ``tensorrt``.
        progress: Told of what was passed over.

    Attributes:
        asked: Device and backend as they were named.

    Raises:
        InputError: An unknown device or backend.
        BackendUnavailableError: What was named is not there.
    """

    def __init__(self, bundle: Bundle, device: str, backend: str, progress: Callable[[str], None]) -> None:
        self.asked = " ".join(name for name in (device, backend) if name != "auto") or "auto"
        self._bundle = bundle
        self._device = device
        self._backend = backend
        self._progress = progress
        self._chosen: dict[Precision, Chosen] = {}
        self._graphs: dict[tuple[str, Precision], TargetGraph] = {}
        self.choose("fp32")  # a device that is missing is known before anything is measured

    def __enter__(self) -> "TargetGraphs":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for chosen in self._chosen.values():
            chosen.backend.close()

    def choose(self, precision: Precision) -> Chosen:
        """The backend of a precision, and what was passed over for it."""
        if precision not in self._chosen:
            chosen = choose_backend(self._device, self._backend, bundle=self._bundle, precision=precision)
            if chosen.skipped_backends:
                skipped_backends = "; ".join(chosen.skipped_backends)
                self._progress(f"{self.asked}, {precision}: {chosen.backend.info} ({skipped_backends})")
            self._chosen[precision] = chosen
        return self._chosen[precision]

    def listed(self) -> Iterator[tuple[str, Precision]]:
        """Every graph of the bundle in every precision that it has, fp32 first."""
        graphs = self._bundle.manifest.graphs
        yield from ((name, graph.precision) for name, graph in graphs.items())
        yield from ((name, precision) for name, graph in graphs.items() for precision in graph.variants)

    def open(self, name: str, precision: Precision) -> TargetGraph | str:
        """Load a graph, or find it loaded.

        Args:
            name: The graph.
            precision: ``fp32`` or a variant that the graph has.

        Returns:
            The graph; or why this target has none: nobody built its engine, or a processor has no kernels for it.

        Raises:
            BackendUnavailableError: The backend refuses a graph that it should run.
        """
        if (name, precision) in self._graphs:
            return self._graphs[name, precision]
        chosen = self.choose(precision)
        on_gpu = chosen.backend.info.on_gpu
        if not on_gpu and "run" not in WAYS[precision]:
            return f"{chosen.backend.info} has no kernels for {precision}; emulated above"
        record = self._bundle.manifest.graphs[name].in_precision(precision, cpu=not on_gpu)
        try:
            chosen.backend.load(name, self._bundle.graph_file(name, precision, cpu=not on_gpu), record)
        except EngineError as error:
            if engine_folders(self._bundle.root, name, precision):
                raise  # there is an engine, and something is wrong with it
            return f"not built: {error}"
        graph = TargetGraph(name, precision, chosen.backend)
        self._graphs[name, precision] = graph
        return graph


def measure_target(bundle: Bundle, graph: TargetGraph) -> tuple[GraphDrift | None, list[str]]:
    """Compare a graph with PyTorch on its golden inputs.

    Args:
        bundle: The bundle.
        graph: The graph on its target.

    Returns:
        Its drift, None if it serves none of the inputs; and for each input that it does not serve the reason.

    Raises:
        ExportError: The bundle has no golden inputs for the graph.
        BackendUnavailableError: The backend fails.
    """
    cases = golden_cases(bundle, graph.name)
    if not cases:
        raise ExportError(f"no golden vectors of {graph.name} in the bundle; export it again")
    left_out: list[str] = []
    runs = list(_served(graph, cases, left_out))
    if not runs:
        return None, left_out
    return compare(bundle, graph.name, graph.precision, str(graph.backend.info), "golden", runs), left_out


def _served(graph: TargetGraph, cases: list[Case], left_out: list[str]) -> Iterator[Run]:
    for fed, expected in cases:
        try:
            yield fed, expected, graph.run(fed)
        except InvalidArrayError as error:  # engines are built for the sizes that somebody asked for
            left_out.append(str(error))

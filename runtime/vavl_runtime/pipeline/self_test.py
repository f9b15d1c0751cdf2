"""Repeats the golden vectors of a bundle on the backend that is really used."""

from collections.abc import Iterator
from dataclasses import dataclass

from vavl_runtime.bundle.golden import TOLERANCE, relative_l2, require_golden_cases
from vavl_runtime.bundle.manifest import REQUIRED_GRAPHS, Precision
from vavl_runtime.pipeline.graph_runner import GraphRunner
from vavl_runtime.timing import StageTimer


@dataclass(frozen=True)
class GraphCheck:
    """How far a graph is from what PyTorch computed at export.

    Attributes:
        graph: Its name.
        precision: What it runs in.
        error: Largest relative L2 error over its golden vectors.
        tolerance: The error that the exporter allows; None for int8, whose ranges hold on real clips alone.
    """

    graph: str
    precision: Precision
    error: float
    tolerance: float | None

    @property
    def passed(self) -> bool:
        """Whether the error is within the tolerance."""
        return self.tolerance is None or self.error <= self.tolerance

    def __str__(self) -> str:
        allowed = f"at most {self.tolerance:.0e}" if self.tolerance is not None else "not judged"
        return (
            f"{'ok    ' if self.passed else 'FAILED'} {self.graph} {self.precision}: error {self.error:.1e}, {allowed}"
        )


def check_graphs(graphs: GraphRunner) -> Iterator[GraphCheck]:
    """Run every graph that clips need on its golden vectors.

    Args:
        graphs: The graphs of an opened bundle.

    Yields:
        One check for each graph, in order of name.

    Raises:
        MissingFileError: The bundle has no golden vectors of a graph.
        BackendUnavailableError: The backend refuses a graph, or fails.
    """
    timer = StageTimer()
    for name in sorted(REQUIRED_GRAPHS):
        worst = 0.0
        for inputs, expected in require_golden_cases(graphs.bundle, name):
            got = graphs.run(name, inputs, timer)
            worst = max(worst, *(relative_l2(got[output], value) for output, value in expected.items()))
        precision = graphs.precisions[name]
        yield GraphCheck(name, precision, worst, None if precision == "int8" else TOLERANCE[precision])

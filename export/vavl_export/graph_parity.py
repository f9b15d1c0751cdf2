"""Third stage of an export: every graph is compared with PyTorch, and the golden vectors are recorded."""

from collections.abc import Sequence
from dataclasses import dataclass

from vavl_export.bundle_files import BundleFiles
from vavl_export.golden import check_parity, golden_bytes, golden_file, record_golden
from vavl_export.graph_export import ExportedGraph
from vavl_export.precision.sessions import open_session
from vavl_export.progress import Progress
from vavl_runtime.bundle.golden import TOLERANCE, Case


@dataclass(frozen=True)
class GraphParity:
    """How a graph compares with PyTorch.

    Attributes:
        cases: The golden vectors: inputs, and PyTorch's outputs.
        relative_l2: The largest relative L2 error of any output.
    """

    cases: list[Case]
    relative_l2: float


def record_parity(graphs: Sequence[ExportedGraph], files: BundleFiles, progress: Progress) -> dict[str, GraphParity]:
    """Run every graph in PyTorch and in ONNX Runtime, compare, and write the golden vectors.

    Args:
        graphs: The graphs, as they were written.
        files: Files of the bundle; takes the golden vectors.
        progress: Called with a line of text.

    Returns:
        The result by graph.

    Raises:
        ParityError: A graph computes something else than PyTorch.
        OutputError: A file cannot be written.
    """
    progress(f"comparing {len(graphs)} graphs with PyTorch")
    results = {}
    for graph in graphs:
        spec = graph.spec
        session = open_session(files.root / spec.file)
        cases, worst = record_golden(spec), 0.0
        for number, (inputs, expected) in enumerate(cases):
            got = dict(zip(spec.outputs, session.run(list(spec.outputs), inputs), strict=True))
            worst = max(worst, check_parity(spec.name, got, expected, TOLERANCE["fp32"]))
            files.write(golden_file(spec.name, number), golden_bytes(inputs, expected))
        results[spec.name] = GraphParity(cases, worst)
    return results

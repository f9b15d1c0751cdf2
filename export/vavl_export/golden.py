"""Golden vectors: inputs with PyTorch's outputs for them, recorded at export and repeated on any machine."""

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from vavl_export.errors import ParityError
from vavl_export.graph_specs import GraphSpec
from vavl_runtime.bundle import Bundle

FOLDER = "golden"
Arrays = dict[str, "NDArray[np.generic]"]
Case = tuple[Arrays, Arrays]  # inputs, and the expected outputs

# Largest relative L2 error against PyTorch in fp32, by precision of the graph. The bound of int8 holds on real clips,
# for which its ranges were calibrated. Export, verification and tests use this one table.
TOLERANCE = {"fp32": 1e-4, "fp16": 5e-3, "bf16": 4e-2, "int8": 1e-1}

# On a labelled corpus, compared with fp32 on ONNX Runtime's CPU: the largest share of labels that may change, and the
# largest loss of macro F1 or CCC. fp32 has bounds too, for other backends.
FLIPS = {"fp32": 0.0, "fp16": 0.0, "bf16": 0.02, "int8": 0.02}
METRIC_LOSS = {"fp32": 0.001, "fp16": 0.001, "bf16": 0.01, "int8": 0.01}


def record_golden(spec: GraphSpec) -> list[Case]:
    """Run a spec's module in PyTorch at the spec's sizes.

    Args:
        spec: The graph.

    Returns:
        Inputs and outputs by name, one pair for each of the spec's sizes.
    """
    recorded = []
    for batch, length in spec.sizes:
        example = spec.example(batch, length)
        with torch.no_grad():
            result = spec.module(*example)
        outputs = result if isinstance(result, tuple) else (result,)
        recorded.append(
            (
                {name: value.numpy() for name, value in zip(spec.inputs, example, strict=True)},
                {name: value.numpy() for name, value in zip(spec.outputs, outputs, strict=True)},
            )
        )
    return recorded


def golden_bytes(inputs: Arrays, outputs: Arrays) -> bytes:
    """Serialise one pair as an ``npz`` archive with ``input.NAME`` and ``output.NAME`` entries."""
    buffer = io.BytesIO()
    named = {f"input.{name}": value for name, value in inputs.items()}
    named |= {f"output.{name}": value for name, value in outputs.items()}
    np.savez_compressed(buffer, **named)  # type: ignore[arg-type]
    return buffer.getvalue()


def read_golden(path: Path) -> tuple[Arrays, Arrays]:
    """Read a pair that `golden_bytes` wrote; a file with pickled objects is refused."""
    with np.load(path, allow_pickle=False) as archive:
        inputs = {name.removeprefix("input."): archive[name] for name in archive.files if name.startswith("input.")}
        outputs = {name.removeprefix("output."): archive[name] for name in archive.files if name.startswith("output.")}
    return inputs, outputs


def golden_file(graph: str, number: int) -> str:
    """Path of a golden vector in a bundle."""
    return f"{FOLDER}/{graph}.{number}.npz"


def golden_cases(bundle: Bundle, name: str) -> list[Case]:
    """Read the golden vectors of a graph: inputs, and PyTorch's outputs.

    Args:
        bundle: An opened bundle.
        name: The graph.

    Returns:
        One pair for each vector; none if the bundle has no vectors for the graph.
    """
    prefix = f"{FOLDER}/{name}."
    return [read_golden(bundle.verified_file(path)) for path in bundle.manifest.files if path.startswith(prefix)]


def relative_l2(got: "NDArray[np.generic]", expected: "NDArray[np.generic]") -> float:
    """Relative L2 error in float64; infinite if shapes differ or a value is not finite."""
    if got.shape != expected.shape or not np.isfinite(got.astype(np.float64)).all():
        return float("inf")
    reference = expected.astype(np.float64)
    norm = float(np.linalg.norm(reference))
    return float(np.linalg.norm(got.astype(np.float64) - reference)) / max(norm, 1e-12)


def check_parity(name: str, got: Mapping[str, "NDArray[np.generic]"], expected: Arrays, tolerance: float) -> float:
    """Compare a graph's outputs with PyTorch's.

    Args:
        name: Name of the graph in messages.
        got: Outputs of the graph.
        expected: Outputs of PyTorch.
        tolerance: Largest relative L2 error.

    Returns:
        The largest relative L2 error over the outputs.

    Raises:
        ParityError: An output is missing, or its error is too large.
    """
    worst = 0.0
    for output, reference in expected.items():
        error = relative_l2(got[output], reference) if output in got else float("inf")
        if error > tolerance:
            raise ParityError(
                f"{name}.{output}: relative L2 error {error:.2e} against PyTorch, at most {tolerance:.0e} expected; "
                "the graph does not compute what PyTorch computes"
            )
        worst = max(worst, error)
    return worst

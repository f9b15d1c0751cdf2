"""Records golden vectors at export, and compares a graph with them; `vavl_runtime.bundle.golden` reads them."""

import io
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from vavl_export.errors import ParityError
from vavl_export.graph_specs import GraphSpec
from vavl_runtime.bundle.golden import FOLDER, Arrays, Case, relative_l2

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


def golden_file(graph: str, number: int) -> str:
    """Path of a golden vector in a bundle."""
    return f"{FOLDER}/{graph}.{number}.npz"


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

"""Golden vectors: inputs with PyTorch's outputs for them, recorded at export and repeated on any machine."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vavl_runtime.bundle.bundle import Bundle
from vavl_runtime.bundle.manifest import Precision
from vavl_runtime.bundle.npz_reader import read_npz
from vavl_runtime.errors import AlteredFileError, MissingFileError

FOLDER = "golden"
Arrays = dict[str, "NDArray[np.generic]"]
Case = tuple[Arrays, Arrays]  # inputs, and the expected outputs

# Largest relative L2 error against PyTorch in fp32, by precision of the graph. The bound of int8 holds on real clips,
# for which its ranges were calibrated. Export, verification, self-test and tests use this one table.
TOLERANCE: dict[Precision, float] = {"fp32": 1e-4, "fp16": 5e-3, "bf16": 4e-2, "int8": 1e-1}


def read_golden(path: Path) -> Case:
    """Read a pair that the exporter wrote.

    Raises:
        AlteredFileError: It holds no arrays of numbers, or too many.
    """
    try:
        arrays = read_npz(path)
    except (OSError, ValueError) as error:
        raise AlteredFileError(f"{path}: not a readable golden vector ({error}); export the bundle again") from error
    inputs = {name.removeprefix("input."): value for name, value in arrays.items() if name.startswith("input.")}
    outputs = {name.removeprefix("output."): value for name, value in arrays.items() if name.startswith("output.")}
    return inputs, outputs


def golden_cases(bundle: Bundle, name: str) -> list[Case]:
    """Read the golden vectors of a graph: inputs, and PyTorch's outputs.

    Args:
        bundle: An opened bundle.
        name: The graph.

    Returns:
        One pair for each vector; none if the bundle has no vectors for the graph.

    Raises:
        AlteredFileError: A vector cannot be read, or names other outputs than the graph has.
        MissingFileError: A file is gone.
    """
    prefix = f"{FOLDER}/{name}."
    paths = [path for path in bundle.manifest.files if path.startswith(prefix)]
    cases = [read_golden(bundle.verified_file(path)) for path in paths]
    announced = {tensor.name for tensor in bundle.manifest.graphs[name].outputs}
    for path, (_, outputs) in zip(paths, cases, strict=True):
        if outputs.keys() != announced:
            raise AlteredFileError(
                f"{bundle.root / path}: has outputs {sorted(outputs)}, graph {name} has {sorted(announced)}; export "
                "the bundle again"
            )
    return cases


def require_golden_cases(bundle: Bundle, name: str) -> list[Case]:
    """Do as `golden_cases`, for a graph that must have some.

    Raises:
        MissingFileError: The bundle has no golden vector of this graph.
    """
    cases = golden_cases(bundle, name)
    if not cases:
        raise MissingFileError(f"{bundle.root}: has no golden vectors of {name}; export the bundle again")
    return cases


def relative_l2(got: "NDArray[np.generic]", expected: "NDArray[np.generic]") -> float:
    """Relative L2 error in float64; infinite if shapes differ or a value of either is not finite."""
    if got.shape != expected.shape or not (np.isfinite(got).all() and np.isfinite(expected).all()):
        return float("inf")
    reference = expected.astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):  # of absurdly large values
        norm = float(np.linalg.norm(reference))
        error = float(np.linalg.norm(got.astype(np.float64) - reference)) / max(norm, 1e-12)
    return error if np.isfinite(norm) and np.isfinite(error) else float("inf")

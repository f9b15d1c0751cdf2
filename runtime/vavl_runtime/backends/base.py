"""What runs graphs must offer; everything above a backend is written against these protocols."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from vavl_runtime.bundle.manifest import GraphRecord, RunsOn
from vavl_runtime.errors import GraphFailedError, InvalidArrayError

_CUDA_PROVIDER = "CUDAExecutionProvider"  # as ONNX Runtime calls it

Arrays = Mapping[str, NDArray[Any]]
DEFAULT_FACE_BATCH = 4  # more is no faster on a CPU and costs memory


class RunGraph(Protocol):
    """Runs a graph of a bundle by name, loading it first if needed."""

    def __call__(self, name: str, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Run a graph.

        Args:
            name: A graph of the manifest.
            inputs: Inputs by name.

        Returns:
            Outputs by name.
        """


@dataclass(frozen=True)
class BackendInfo:
    """What really runs the graphs. ``str()`` gives it on one line, as results and reports show it.

    Attributes:
        name: ``onnxruntime`` or ``TensorRT``, or the name of a backend of your own.
        version: Its version; empty if it has none.
        provider: ONNX Runtime's execution provider; empty for other backends.
        device: ``cpu``, or ``cuda:N`` with the GPU's name.
        threads: CPU threads of one graph; None on a GPU.
        notes: What else matters, such as graphs that run without CUDA graphs.

    Example:
        >>> str(BackendInfo("onnxruntime", "1.23.2", provider="CPUExecutionProvider", threads=2))
        'onnxruntime 1.23.2 CPUExecutionProvider x2'
    """

    name: str
    version: str = ""
    provider: str = ""
    device: str = "cpu"
    threads: int | None = None
    notes: tuple[str, ...] = ()

    @property
    def on_gpu(self) -> bool:
        """Whether the graphs run on a GPU."""
        return self.device.startswith("cuda")

    @property
    def runs_on(self) -> RunsOn | None:
        """Which files of a bundle's variants were made for it; None for those that serve everything.

        The files for ONNX Runtime on GPUs hold masks that only its memory-efficient attention reads rightly, so they
        are left alone where that is switched off.
        """
        if not self.on_gpu:
            return "cpu"
        switched_off = os.environ.get("ORT_DISABLE_MEMORY_EFFICIENT_ATTENTION", "").strip().lower()
        right = self.provider == _CUDA_PROVIDER and switched_off in ("", "0", "false")
        return "onnxruntime_gpu" if right else None

    def __str__(self) -> str:
        device = self.device if self.on_gpu else ""
        threads = f"x{self.threads}" if self.threads is not None else ""
        words = " ".join(filter(None, (self.name, self.version, self.provider, device, threads)))
        return ", ".join((words, *self.notes))


class Backend(Protocol):
    """Runs graphs by name.

    A backend may also have an attribute ``face_batch``: how many faces one run of ``face_encoder`` should take, asked
    for once that graph is loaded. Without it that is `DEFAULT_FACE_BATCH`.

    Attributes:
        reentrant: Any thread may run any graph at any time. Otherwise `GraphRunner` keeps threads apart.
        overlaps: Two threads may load and run different graphs at the same time, and finish sooner by it.
    """

    @property
    def reentrant(self) -> bool:
        """Whether any thread may run any graph at any time."""

    @property
    def overlaps(self) -> bool:
        """Whether two threads may run different graphs at the same time, and finish sooner by it."""

    def load(self, name: str, file: Path, record: GraphRecord) -> None:
        """Load a verified graph file under a name.

        The file and its weights may be gone when this returns: open or read what is needed later.

        Raises:
            BackendUnavailableError: The library or its device is missing, or refuses the graph.
        """

    def run(self, name: str, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Run a loaded graph.

        Raises:
            InvalidArrayError: An input is missing or has a wrong dtype or shape.
        """

    @property
    def info(self) -> BackendInfo:
        """What really runs."""

    def close(self) -> None:
        """Release the loaded graphs."""


def check_outputs(name: str, record: GraphRecord, inputs: Arrays, outputs: Arrays) -> None:
    """Compare what a graph computed with its signature, which ONNX Runtime does not enforce.

    Args:
        name: The graph's name, for messages.
        record: Its signature.
        inputs: What went in.
        outputs: What came out.

    Raises:
        GraphFailedError: Wrong names, dtypes, ranks or fixed sizes, another batch than went in, or NaN or infinity.
    """
    batches = {tensor.shape[0]: len(inputs[tensor.name]) for tensor in record.inputs if tensor.shape}
    for tensor in record.outputs:
        value = outputs.get(tensor.name)
        fits = isinstance(value, np.ndarray) and value.dtype == tensor.dtype and value.ndim == len(tensor.shape)
        if fits and value is not None:
            wanted = (*(batches.get(axis, axis) for axis in tensor.shape[:1]), *tensor.shape[1:])
            fits = all(isinstance(axis, str) or axis == size for size, axis in zip(value.shape, wanted, strict=True))
        if not fits or value is None:
            came = f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__
            raise GraphFailedError(
                f"graph {name}, output {tensor.name}: got {came}, expected {tensor.dtype} {tensor.shape}; verify the "
                "bundle"
            )
        if not np.isfinite(value).all():
            raise GraphFailedError(
                f"graph {name}: its output {tensor.name} is not finite; verify the bundle, or use precision fp32"
            )


def check_inputs(name: str, record: GraphRecord, inputs: Arrays) -> None:
    """Compare inputs with a graph's signature.

    Args:
        name: The graph's name, for messages.
        record: Its signature.
        inputs: What came.

    Raises:
        InvalidArrayError: Wrong names, dtypes, ranks, fixed sizes, or sizes that should be equal.
    """
    expected = {tensor.name: tensor for tensor in record.inputs}
    if inputs.keys() != expected.keys():
        raise InvalidArrayError(f"graph {name}: got inputs {sorted(inputs)}, expected {sorted(expected)}")
    sizes: dict[str, int] = {}
    for key, tensor in expected.items():
        value = inputs[key]
        fits = isinstance(value, np.ndarray) and value.dtype == tensor.dtype and value.ndim == len(tensor.shape)
        if fits:
            for size, axis in zip(value.shape, tensor.shape, strict=True):
                wanted = sizes.setdefault(axis, size) if isinstance(axis, str) else axis
                fits = fits and size == wanted and size > 0
        if not fits:
            came = f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__
            raise InvalidArrayError(f"graph {name}, input {key}: got {came}, expected {tensor.dtype} {tensor.shape}")

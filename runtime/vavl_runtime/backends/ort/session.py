"""What all ONNX Runtime backends share: importing it, opening a graph, comparing its signature."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vavl_runtime.bundle.manifest import GraphRecord
from vavl_runtime.errors import BackendUnavailableError, ManifestError

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
TENSORRT = "TensorrtExecutionProvider"

INSTALL = "pip install 'vavl-edge[cpu]', or 'vavl-edge[gpu]' for an NVIDIA GPU"
_REINSTALL = f"pip uninstall -y onnxruntime onnxruntime-gpu, then {INSTALL}"

_TYPES = {
    "float32": "tensor(float)",
    "float16": "tensor(float16)",
    "int64": "tensor(int64)",
    "uint8": "tensor(uint8)",
}
Provider = tuple[str, dict[str, str]]  # name and options


def import_onnxruntime() -> Any:
    """Import onnxruntime, with its collection of usage data switched off.

    `vavl_runtime` sets ``ORT_DISABLE_TELEMETRY`` when it is imported. If the program imported onnxruntime before that,
    onnxruntime has registered the process already; it is then told to collect no more.

    Returns:
        The module.

    Raises:
        BackendUnavailableError: It is missing or broken; the message has the command that installs it.
    """
    try:
        import onnxruntime
    except ImportError as error:
        if isinstance(error, ModuleNotFoundError) and error.name == "onnxruntime":
            raise BackendUnavailableError(f"onnxruntime is not installed; {INSTALL}") from None
        raise BackendUnavailableError(f"onnxruntime cannot be imported ({error}); {_REINSTALL}") from error
    if not hasattr(onnxruntime, "InferenceSession"):
        # What stays when one of the two packages, which share a folder, is uninstalled.
        raise BackendUnavailableError(f"onnxruntime is installed in part only; {_REINSTALL}")
    onnxruntime.disable_telemetry_events()
    return onnxruntime


def open_session(
    runtime: Any, file: Path, record: GraphRecord, options: Any, providers: Sequence[Provider | str]
) -> Any:
    """Open a graph on exactly the first of the providers.

    Args:
        runtime: The onnxruntime module.
        file: A verified ONNX file.
        record: Its signature by the manifest.
        options: Session options.
        providers: Providers by rank.

    Returns:
        The session.

    Raises:
        BackendUnavailableError: ONNX Runtime refuses the graph or does not start the provider.
        ManifestError: The graph has other inputs or outputs than announced.
    """
    try:
        # By default the Python layer prints a failure of a provider and starts again on the CPU.
        session = runtime.InferenceSession(os.fspath(file), options, providers=list(providers), enable_fallback=0)
    except Exception as error:  # ONNX Runtime's exception types are private and differ between versions
        raise BackendUnavailableError(f"{file}: ONNX Runtime refuses the graph ({error})") from error
    wanted = providers[0] if isinstance(providers[0], str) else providers[0][0]
    if wanted not in session.get_providers():
        raise BackendUnavailableError(
            f"{file}: ONNX Runtime did not start {wanted} but {session.get_providers()}; vavl-doctor says what is "
            "missing"
        )
    given = {
        value.name: _signature(value.type, value.shape) for value in (*session.get_inputs(), *session.get_outputs())
    }
    announced = {
        tensor.name: _signature(_TYPES[tensor.dtype], tensor.shape) for tensor in (*record.inputs, *record.outputs)
    }
    if given != announced:
        raise ManifestError(f"{file}: has inputs and outputs {_text(given)}, the manifest says {_text(announced)}")
    return session


def _signature(kind: str, shape: Sequence[object]) -> tuple[str, tuple[int | None, ...]]:
    """Element type and shape; the names of free axes do not count."""
    return kind, tuple(size if isinstance(size, int) else None for size in shape)


def _text(signatures: dict[str, tuple[str, tuple[int | None, ...]]]) -> str:
    return ", ".join(f"{name} {kind} {list(shape)}" for name, (kind, shape) in sorted(signatures.items()))

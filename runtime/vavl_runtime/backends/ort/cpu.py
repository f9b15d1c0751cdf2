"""ONNX Runtime on the CPU."""

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from vavl_runtime.backends.base import Arrays, BackendInfo, check_inputs
from vavl_runtime.backends.ort.session import CPU, import_onnxruntime, open_session
from vavl_runtime.bundle.manifest import GraphRecord
from vavl_runtime.devices.cpu import usable_cores
from vavl_runtime.errors import BackendUnavailableError, GraphFailedError


class OnnxRuntimeBackend:
    """Runs graphs with ONNX Runtime.

    Args:
        threads: Threads within an operator; all cores this process may use by default, by mask and quota.
    """

    reentrant = True
    overlaps = False  # a graph takes all cores by itself

    def __init__(self, threads: int | None = None) -> None:
        self._runtime = import_onnxruntime()
        if threads is not None and threads < 1:
            raise BackendUnavailableError(f"threads: got {threads}, expected at least 1, or None for all cores")
        self._threads = threads or usable_cores()
        self._sessions: dict[str, tuple[Any, GraphRecord, list[str]]] = {}

    def load(self, name: str, file: Path, record: GraphRecord) -> None:
        """Load a graph; see `Backend.load`."""
        if name in self._sessions:
            raise BackendUnavailableError(f"graph {name} is loaded already: a backend serves one recogniser at a time")
        options = self._runtime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Each graph has its own threads. Spinning within a run saves waking them at every operator; spinning on after
        # it would take the cores from decoding and from the other graphs.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        session = open_session(self._runtime, file, record, options, [CPU])
        self._sessions[name] = (session, record, [tensor.name for tensor in record.outputs])

    def run(self, name: str, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Run a graph; see `Backend.run`."""
        session, record, outputs = self._sessions[name]
        check_inputs(name, record, inputs)
        try:
            return dict(zip(outputs, session.run(outputs, dict(inputs)), strict=True))
        except Exception as error:  # ONNX Runtime's exception types are private and differ between versions
            raise GraphFailedError(f"graph {name}: ONNX Runtime fails ({error}); verify the bundle") from error

    @property
    def info(self) -> BackendInfo:
        """Version, provider and threads."""
        return BackendInfo("onnxruntime", self._runtime.__version__, provider=CPU, threads=self._threads)

    def close(self) -> None:
        """Release all sessions."""
        self._sessions.clear()

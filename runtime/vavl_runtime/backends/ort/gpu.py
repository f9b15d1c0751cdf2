"""ONNX Runtime on an NVIDIA GPU, with its CUDA or its TensorRT provider."""

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from vavl_runtime.backends.base import Arrays, BackendInfo, check_inputs
from vavl_runtime.backends.ort.io_binding import MAX_KEPT_SHAPES, GpuBinding
from vavl_runtime.backends.ort.providers import (
    RECORD_NODES,
    cuda_options,
    nodes_taken,
    require_provider,
    tensorrt_options,
)
from vavl_runtime.backends.ort.session import CUDA, TENSORRT, import_onnxruntime, open_session
from vavl_runtime.backends.ort.trt_provider import WITHOUT_TENSORRT, engine_folder, profile_options
from vavl_runtime.bundle import Bundle
from vavl_runtime.bundle.manifest import GraphRecord
from vavl_runtime.devices.gpu import Gpu
from vavl_runtime.errors import BackendUnavailableError, GraphFailedError, OutputError

_CAPTURE_REFUSED = ("cannot use the CUDA Graph feature", "cannot use the graph capture feature")  # by version


class OnnxRuntimeGpuBackend:
    """Runs graphs with ONNX Runtime on a GPU.

    With the CUDA provider, repeated shapes run as CUDA graphs. ONNX Runtime always computes shapes on the CPU, so
    ``session.disable_cpu_ep_fallback`` cannot be used for whole graphs. Before capturing, ONNX Runtime checks that
    nothing else runs on the CPU. A graph that fails this check runs without a CUDA graph, as do shapes beyond the
    first few; `info` says so.

    With the TensorRT provider, a graph from which TensorRT takes no node is an error. For other graphs `info` says how
    many nodes TensorRT leaves out; ONNX Runtime before 1.24 does not report this.

    Args:
        gpu: The GPU.
        tensorrt: Use the TensorRT provider, with the CUDA provider for what TensorRT leaves out.
        bundle: Whose graphs they are; needed with ``tensorrt``.
        cuda_graphs: Capture CUDA graphs; the TensorRT provider runs without.

    Raises:
        BackendUnavailableError: The provider is missing or does not start.
    """

    # ONNX Runtime keeps CUDA graphs per thread and advises against several threads (microsoft/onnxruntime#18509).
    reentrant = False
    overlaps = False

    def __init__(
        self, gpu: Gpu, *, tensorrt: bool = False, bundle: Bundle | None = None, cuda_graphs: bool = True
    ) -> None:
        if tensorrt and bundle is None:
            raise BackendUnavailableError("The onnxruntime-tensorrt backend needs a bundle, to keep its engines apart.")
        self._runtime = import_onnxruntime()
        self._gpu = gpu
        self._bundle = bundle if tensorrt else None
        self._provider = TENSORRT if tensorrt else CUDA
        self._cuda_graphs = cuda_graphs and not tensorrt
        self._bindings: dict[str, tuple[GpuBinding, GraphRecord]] = {}
        self._uncaptured: list[str] = []
        self._left_out: dict[str, str] = {}  # by graph that TensorRT does not run as a whole
        for name in (TENSORRT, CUDA) if tensorrt else (CUDA,):
            require_provider(self._runtime, (name, {"device_id": str(gpu.index)}))

    def load(self, name: str, file: Path, record: GraphRecord) -> None:
        """Load a graph; see `Backend.load`."""
        if name in self._bindings:
            raise BackendUnavailableError(f"graph {name} is loaded already: a backend serves one recogniser at a time")
        graphs = self._cuda_graphs
        if self._bundle is not None and name not in WITHOUT_TENSORRT:
            session = self._open_with_tensorrt(self._bundle, name, file, record)
        else:
            try:
                session = self._open(file, record, graphs=graphs)
            except BackendUnavailableError as error:
                if not graphs or not any(words in str(error) for words in _CAPTURE_REFUSED):
                    raise
                graphs = False
                session = self._open(file, record, graphs=False)
                self._uncaptured.append(name)
        self._bindings[name] = (
            GpuBinding(self._runtime, session, record, self._gpu.index, graphs=graphs),
            record,
        )

    def run(self, name: str, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Run a graph; see `Backend.run`."""
        binding, record = self._bindings[name]
        check_inputs(name, record, inputs)
        try:
            return binding.run(inputs)
        except Exception as error:  # ONNX Runtime's exception types are private and differ between versions
            raise GraphFailedError(
                f"graph {name}: ONNX Runtime fails on {self._gpu} ({error}); try device cpu, or verify the bundle"
            ) from error

    @property
    def info(self) -> BackendInfo:
        """Version, provider, GPU, and what runs without CUDA graphs, or without TensorRT."""
        version, gpu = self._runtime.__version__, str(self._gpu)
        return BackendInfo("onnxruntime", version, provider=self._provider, device=gpu, notes=self._notes())

    def _notes(self) -> tuple[str, ...]:
        if self._bundle is not None:
            return (f"{CUDA} for {', '.join([*sorted(WITHOUT_TENSORRT), *self._left_out.values()])}",)
        if not self._cuda_graphs:
            return ()
        full = [name for name, (binding, _) in self._bindings.items() if binding.full and name not in self._uncaptured]
        plain = self._uncaptured + [f"more than {MAX_KEPT_SHAPES} shapes of {name}" for name in full]
        return ("CUDA graphs" + (f" except {', '.join(plain)}" if plain else ""),)

    def close(self) -> None:
        """Release all sessions, buffers and CUDA graphs."""
        self._bindings.clear()

    def _open(self, file: Path, record: GraphRecord, *, graphs: bool) -> Any:
        provider = cuda_options(self._gpu.index, graphs=graphs)
        return open_session(self._runtime, file, record, self._options(), [provider])

    def _open_with_tensorrt(self, bundle: Bundle, name: str, file: Path, record: GraphRecord) -> Any:
        folder = engine_folder(bundle, name, record)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{folder}: cannot be made ({error.strerror}); set XDG_CACHE_HOME") from error
        providers = [
            tensorrt_options(
                self._gpu.index, folder, record.precision, profile_options(record, bundle.manifest.limits)
            ),
            cuda_options(self._gpu.index, graphs=False),
        ]
        options = self._options()
        options.add_session_config_entry(RECORD_NODES, "1")
        session = open_session(self._runtime, file, record, options, providers)
        nodes = nodes_taken(session, TENSORRT)
        if nodes is None:
            self._left_out[name] = f"an unknown part of {name}"
        elif nodes.taken == 0:
            raise BackendUnavailableError(
                f"graph {name}: TensorRT takes none of its {nodes.total} nodes, {CUDA} would run it; ask for that with "
                "backend onnxruntime, or install the TensorRT that vavl-doctor names"
            )
        elif nodes.taken < nodes.total:
            self._left_out[name] = f"{nodes.total - nodes.taken} of {nodes.total} nodes of {name}"
        return session

    def _options(self) -> Any:
        options = self._runtime.SessionOptions()
        options.log_severity_level = 4  # errors are raised, too
        options.enable_mem_pattern = False
        # Weights are copied once; kept in the arena they would make it grow in steps of their size.
        options.add_session_config_entry("session.use_device_allocator_for_initializers", "1")
        return options

"""ONNX Runtime on an NVIDIA GPU, with its CUDA or its TensorRT provider."""

from functools import partial
from pathlib import Path
from typing import Any, get_args

from numpy.typing import NDArray

from vavl_runtime.backends.base import Arrays, BackendInfo, check_inputs
from vavl_runtime.backends.ort.io_binding import MAX_CAPTURED_SHAPES, GpuBinding
from vavl_runtime.backends.ort.providers import (
    RECORD_NODES,
    ConvSearch,
    cuda_options,
    nodes_taken,
    require_provider,
    tensorrt_options,
    without_warnings,
)
from vavl_runtime.backends.ort.session import CUDA, TENSORRT, import_onnxruntime, open_session
from vavl_runtime.backends.ort.trt_provider import MAX_FACES, WITHOUT_TENSORRT, engine_folder, profile_options
from vavl_runtime.backends.ort.worker import GpuWorker
from vavl_runtime.bundle import Bundle
from vavl_runtime.bundle.manifest import GraphRecord
from vavl_runtime.devices.gpu import Gpu
from vavl_runtime.devices.pinned import PinnedMemory
from vavl_runtime.errors import BackendUnavailableError, GraphFailedError, InputError, OutputError

_CAPTURE_REFUSED = ("cannot use the CUDA Graph feature", "cannot use the graph capture feature")  # by version


class OnnxRuntimeGpuBackend:
    """Runs graphs with ONNX Runtime on a GPU.

    With the CUDA provider, repeated shapes run as CUDA graphs. ONNX Runtime always computes shapes on the CPU, so
    ``session.disable_cpu_ep_fallback`` cannot be used for whole graphs. Before capturing, ONNX Runtime checks that
    nothing else runs on the CPU. A graph that fails this check runs without a CUDA graph, and so does a run whose
    capture fails; `info` says so.

    With the TensorRT provider, a graph from which TensorRT takes no node is an error. For other graphs `info` says how
    many nodes TensorRT leaves out; ONNX Runtime before 1.24 does not report this.

    One thread of the backend does everything on the GPU, whichever threads call it.

    Args:
        gpu: The GPU.
        tensorrt: Use the TensorRT provider, with the CUDA provider for what TensorRT leaves out.
        bundle: Whose graphs they are; needed with ``tensorrt``.
        cuda_graphs: Capture CUDA graphs; the TensorRT provider runs without.
        conv_search: How the CUDA provider finds cuDNN's algorithm for a convolution; see `cuda_options`. The default is
            the one that costs least at a new shape; which is fastest was not measured.
        prefer_nhwc: Let the CUDA provider compute convolutions with the channels last. The default is ONNX Runtime's;
            which is faster was not measured.
        pinned: Stage copies to and from the GPU in page-locked memory. Whether that is faster was not measured.

    Raises:
        BackendUnavailableError: The provider is missing or does not start.
        InputError: An unknown ``conv_search``.
    """

    reentrant = True  # the worker runs one call at a time
    # ONNX Runtime keeps CUDA graphs per thread and advises against several threads (microsoft/onnxruntime#18509).
    overlaps = False
    face_batch = MAX_FACES  # a clip of 3 s has about 75, and each run waits for its copies

    def __init__(
        self,
        gpu: Gpu,
        *,
        tensorrt: bool = False,
        bundle: Bundle | None = None,
        cuda_graphs: bool = True,
        conv_search: ConvSearch = "HEURISTIC",
        prefer_nhwc: bool = False,
        pinned: bool = True,
    ) -> None:
        if tensorrt and bundle is None:
            raise BackendUnavailableError("The onnxruntime-tensorrt backend needs a bundle, to keep its engines apart.")
        if conv_search not in get_args(ConvSearch):
            raise InputError(f"conv_search: got {conv_search!r}, expected one of {', '.join(get_args(ConvSearch))}")
        self._runtime = import_onnxruntime()
        self._gpu = gpu
        self._bundle = bundle if tensorrt else None
        self._provider = TENSORRT if tensorrt else CUDA
        self._cuda_graphs = cuda_graphs and not tensorrt
        self._cuda_options = partial(cuda_options, gpu.index, conv_search=conv_search, prefer_nhwc=prefer_nhwc)
        self._bindings: dict[str, tuple[GpuBinding, GraphRecord]] = {}
        self._uncaptured: list[str] = []
        self._left_out: dict[str, str] = {}  # by graph that TensorRT does not run as a whole
        self._pinned: PinnedMemory | None = None
        self._worker = GpuWorker(f"onnxruntime-cuda:{gpu.index}")
        try:
            for name in (TENSORRT, CUDA) if tensorrt else (CUDA,):
                self._worker.call(partial(require_provider, self._runtime, (name, {"device_id": str(gpu.index)})))
            self._pinned = PinnedMemory() if pinned else None
        except BaseException:
            self._worker.close()
            raise

    def load(self, name: str, file: Path, record: GraphRecord) -> None:
        """Load a graph; see `Backend.load`."""
        if name in self._bindings:
            raise BackendUnavailableError(f"graph {name} is loaded already: a backend serves one recogniser at a time")
        self._worker.call(partial(self._load, name, file, record))

    def run(self, name: str, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Run a graph; see `Backend.run`."""
        binding, record = self._bindings[name]
        check_inputs(name, record, inputs)
        return self._worker.call(partial(self._run, name, binding, inputs))

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
        loaded = list(self._bindings.items())  # the worker may add to them meanwhile
        captured = {name: binding for name, (binding, _) in loaded if name not in self._uncaptured}
        full = [
            f"more than {MAX_CAPTURED_SHAPES} shapes of {name}" for name, binding in captured.items() if binding.full
        ]
        failed = [
            f"{binding.failed_captures} failed captures of {name}"
            for name, binding in captured.items()
            if binding.failed_captures
        ]
        plain = [*self._uncaptured, *full, *failed]
        return ("CUDA graphs" + (f" except {', '.join(plain)}" if plain else ""),)

    def close(self) -> None:
        """Release all sessions, buffers and CUDA graphs, and end the backend's thread. Can be called again."""
        bindings = [binding for binding, _ in self._bindings.values()]
        self._bindings.clear()
        try:
            for binding in bindings:
                if not self._worker.closed:  # it is at the end of the program, which releases everything
                    self._worker.call(binding.close)
        finally:
            self._worker.close()

    def _load(self, name: str, file: Path, record: GraphRecord) -> None:
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
        binding = GpuBinding(self._runtime, session, record, self._gpu.index, graphs=graphs, pinned=self._pinned)
        self._bindings[name] = (binding, record)

    def _run(self, name: str, binding: GpuBinding, inputs: Arrays) -> dict[str, NDArray[Any]]:
        try:
            return binding.run(inputs)
        except Exception as error:  # ONNX Runtime's exception types are private and differ between versions
            raise GraphFailedError(
                f"graph {name}: ONNX Runtime fails on {self._gpu} ({error}); try device cpu, or verify the bundle"
            ) from error

    def _open(self, file: Path, record: GraphRecord, *, graphs: bool) -> Any:
        with without_warnings(self._runtime):
            return open_session(self._runtime, file, record, self._options(), [self._cuda_options(graphs=graphs)])

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
            self._cuda_options(graphs=False),
        ]
        options = self._options()
        options.add_session_config_entry(RECORD_NODES, "1")
        with without_warnings(self._runtime):
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

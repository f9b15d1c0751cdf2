"""Native TensorRT engines, without PyTorch."""

import contextlib
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vavl_runtime.backends.base import DEFAULT_FACE_BATCH, Arrays, BackendInfo, check_inputs
from vavl_runtime.backends.trt.buffers import Buffers
from vavl_runtime.backends.trt.engine_store import (
    LIBRARY_NAMES,
    Engine,
    Shape,
    load_engines,
    require_any,
    this_machine,
)
from vavl_runtime.backends.trt.library import TensorRt, find_tensorrt, last_errors, new_log
from vavl_runtime.backends.trt.profile import ProfileRunner
from vavl_runtime.backends.trt.shape_context import Lane
from vavl_runtime.backends.trt.shapes import cut_outputs, padded_shapes, split_rows
from vavl_runtime.bundle import Bundle
from vavl_runtime.bundle.manifest import GraphRecord
from vavl_runtime.bundle.precision import PrecisionChoice
from vavl_runtime.devices.cuda import Cuda
from vavl_runtime.devices.gpu import probe_driver, require_gpu
from vavl_runtime.errors import BackendUnavailableError, EngineError, InvalidArrayError

# Sound and picture are encoded on streams of their own, so that threads that run them do not wait for each other.
_STREAMS = {"audio_encoder": "sound", "audio": "path", "visual": "path", "audio_visual": "path"}
_OTHER_STREAM = "picture"
_LANES = ("sound", "picture", "path")


@dataclass(frozen=True)
class _Graph:
    """A loaded graph: its runners by rising size, its buffers, and what keeps them alive."""

    record: GraphRecord
    runners: list[ProfileRunner]
    buffers: Buffers
    engines: list[Any]
    lock: threading.Lock

    @property
    def largest_batch(self) -> int:
        """The most rows that a profile takes."""
        return max(runner.profile.inputs[self.record.inputs[0].name].max[0] for runner in self.runners)

    def run(self, name: str, inputs: Arrays) -> dict[str, NDArray[Any]]:
        for runner in self.runners:
            shapes = padded_shapes(self.record, runner.profile, inputs)
            if shapes is not None:
                self.buffers.write(inputs, shapes)
                outputs = self.buffers.read(runner.run(shapes))
                return {key: value.copy() for key, value in cut_outputs(self.record, inputs, outputs).items()}
        came = {key: value.shape for key, value in inputs.items()}
        served = "; ".join(str(_ranges(runner)) for runner in self.runners)
        raise InvalidArrayError(
            f"graph {name}: got inputs {came}, its engines serve {served}; build others with vavl-export tensorrt: "
            "other buckets, or a larger batch"
        )


class TensorRtBackend:
    """Runs engines that ``vavl-export tensorrt`` built on this machine.

    Each graph has one set of pinned and device buffers, one piece of scratch memory, and for each (rounded) shape in
    use an execution context and a CUDA graph, copies included. A repeated shape allocates nothing.

    Args:
        device: Number of the GPU.
        bundle: The bundle whose engines are run.
        precision: What will be loaded, for the command that builds missing engines.

    Raises:
        BackendUnavailableError: The GPU, TensorRT, cuda-python or the engines are missing.
    """

    reentrant = False  # a graph has one set of buffers
    overlaps = True  # sound and picture have streams, buffers and contexts of their own

    def __init__(self, device: int, bundle: Bundle | None, precision: PrecisionChoice = "fp32") -> None:
        if bundle is None:
            raise EngineError("The TensorRT backend needs a bundle: its engines are stored there.")
        # Must come before any TensorRT object: without a driver those crash the process.
        self._gpu = require_gpu(device, probe_driver())
        self._library: TensorRt = find_tensorrt()
        self._machine = this_machine(self._library.name, self._library.version, self._gpu)
        require_any(bundle, self._machine, precision)
        self._cuda = Cuda(device)
        self._bundle = bundle
        self._log = new_log(self._library)
        self._runtime = self._library.module.Runtime(self._log)
        self._streams: dict[str, Any] = {}
        self._locks = {lane: threading.Lock() for lane in _LANES}
        self._setting_up = threading.Lock()
        self._graphs: dict[str, _Graph] = {}

    def load(self, name: str, file: Path, record: GraphRecord) -> None:
        """Load the engines of a graph; see `Backend.load`.

        Raises:
            EngineError: There is no engine for this graph, precision and machine; the message says why others were
                refused.
        """
        if name in self._graphs:
            raise BackendUnavailableError(f"graph {name} is loaded already: a backend serves one recogniser at a time")
        lane = _STREAMS.get(name, _OTHER_STREAM)
        with contextlib.ExitStack() as alone:  # what allocates may break a capture that runs beside it
            for lock in self._locks.values():
                alone.enter_context(lock)
            self._cuda.use()
            if lane not in self._streams:
                self._streams[lane] = self._cuda.new_stream()
            self._graphs[name] = self._open(name, file, record, lane)

    def run(self, name: str, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Run a graph; see `Backend.run`. Threads may run graphs at the same time.

        Raises:
            InvalidArrayError: No engine serves these sizes.
        """
        graph = self._graphs[name]
        check_inputs(name, graph.record, inputs)
        with graph.lock:
            self._cuda.use()
            parts = [graph.run(name, part) for part in split_rows(graph.record, graph.largest_batch, inputs)]
        if len(parts) == 1:
            return parts[0]
        return {tensor.name: np.concatenate([part[tensor.name] for part in parts]) for tensor in graph.record.outputs}

    def most_clips(self, name: str) -> int:
        """Most clips that the engines of a graph take at once; 1 before it is loaded.

        Args:
            name: A graph whose first input has a row for each clip.
        """
        if name not in self._graphs:
            return 1
        graph = self._graphs[name]
        first = graph.record.inputs[0].name
        return min(runner.profile.inputs[first].max[0] for runner in graph.runners)

    @property
    def face_batch(self) -> int:
        """How many faces the largest profile of ``face_encoder`` takes, once it is loaded."""
        graph = self._graphs.get("face_encoder")
        return DEFAULT_FACE_BATCH if graph is None else graph.largest_batch

    @property
    def info(self) -> BackendInfo:
        """Library, version, GPU, and which graphs run as CUDA graphs."""
        plain = [name for name, graph in self._graphs.items() if not all(runner.captures for runner in graph.runners)]
        note = "CUDA graphs" + (f" except {', '.join(plain)}" if plain else "")
        title = LIBRARY_NAMES[self._library.name]
        return BackendInfo(title, self._library.version, device=str(self._gpu), notes=(note,))

    def close(self) -> None:
        """Release graphs, buffers, contexts and engines, in this order."""
        self._cuda.use()
        for graph in self._graphs.values():
            for runner in graph.runners:
                runner.close()
            graph.buffers.free()
            graph.engines.clear()
        self._graphs.clear()
        for stream in self._streams.values():
            self._cuda.destroy_stream(stream)
        self._streams.clear()

    def _open(self, name: str, file: Path, record: GraphRecord, lane: str) -> _Graph:
        place = Lane(self._library, self._log, self._cuda, self._streams[lane], self._setting_up)
        runners: list[ProfileRunner] = []
        engines = []
        scratch = 0
        for found, plan in load_engines(self._bundle, self._machine, name, record):
            engine = self._deserialize(found, plan, file)
            del plan  # before the next one is read: they may be large
            self._check_signature(found, engine, record)
            engines.append(engine)
            scratch = max(scratch, engine.device_memory_size_v2)
            for index, profile in enumerate(found.record.key.profiles):
                runners.append(ProfileRunner(place, engine, index, profile, record))
        runners.sort(key=lambda runner: [bounds.max for bounds in runner.profile.inputs.values()])
        buffers = Buffers(self._cuda, record, _largest(runners), scratch)
        for runner in runners:
            runner.bind(buffers)
        return _Graph(record, runners, buffers, engines, self._locks[lane])

    def _deserialize(self, found: Engine, plan: bytes, file: Path) -> Any:
        if found.record.key.version_compatible:
            self._runtime.engine_host_code_allowed = True  # the plan carries its own runtime; we built it ourselves
        engine = self._runtime.deserialize_cuda_engine(plan)
        if engine is None:
            raise EngineError(
                f"{found.plan}: {self._library} refuses the plan: {last_errors(self._log)}; build it again"
            )
        if found.record.key.stripped:
            self._refit(engine, found, file)
        return engine

    def _refit(self, engine: Any, found: Engine, file: Path) -> None:
        """Give a plan without weights those of the ONNX file."""
        module = self._library.module
        refitter = module.Refitter(engine, self._log)
        filled = module.OnnxParserRefitter(refitter, self._log).refit_from_file(str(file))
        if not filled or not refitter.refit_cuda_engine():
            raise EngineError(f"{found.plan}: cannot be given its weights: {last_errors(self._log)}; build it again")

    def _check_signature(self, found: Engine, engine: Any, record: GraphRecord) -> None:
        announced = {tensor.name: np.dtype(tensor.dtype) for tensor in (*record.inputs, *record.outputs)}
        names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
        given = {name: np.dtype(self._library.module.nptype(engine.get_tensor_dtype(name))) for name in names}
        if given != announced:
            raise EngineError(
                f"{found.plan}: has inputs and outputs {_text(given)}, the manifest says {_text(announced)}; "
                "build it again"
            )


def _largest(runners: list[ProfileRunner]) -> dict[str, Shape]:
    """Element by element, the largest shape over all profiles."""
    shapes = [runner.largest() for runner in runners]
    return {
        name: tuple(max(sizes) for sizes in zip(*(shape[name] for shape in shapes), strict=True)) for name in shapes[0]
    }


def _ranges(runner: ProfileRunner) -> dict[str, str]:
    return {name: f"{bounds.min} to {bounds.max}" for name, bounds in runner.profile.inputs.items()}


def _text(types: dict[str, "np.dtype[Any]"]) -> str:
    return ", ".join(f"{name} {dtype}" for name, dtype in sorted(types.items()))

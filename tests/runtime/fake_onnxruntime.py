"""A stand-in for onnxruntime-gpu on a GPU that is not there, after the published Python API.

It is as unforgiving as the real one where our code could be wrong: providers that do not load fall back to the CPU
without a word unless that is forbidden, cuDNN is missed at the first run only, buffers take only arrays of their own
shape and type, a captured CUDA graph goes on reading and writing the addresses it was captured with, and each thread
has captured graphs of its own.
"""

import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vavl_runtime.bundle.manifest import GraphRecord, TensorRecord

CPU, CUDA, TENSORRT = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"
Compute = Callable[[dict[str, NDArray[Any]]], list[NDArray[Any]]]


class Fail(Exception):  # noqa: N818 - its name there
    """ONNX Runtime's own exception type."""


class SessionOptions:
    def __init__(self) -> None:
        self.entries: dict[str, str] = {}
        self.log_severity_level = 2
        self.enable_mem_pattern = True
        self.intra_op_num_threads = self.inter_op_num_threads = 0

    def add_session_config_entry(self, key: str, value: str) -> None:
        self.entries[key] = value


class RunOptions:
    def __init__(self) -> None:
        self.entries: dict[str, str] = {}

    def add_run_config_entry(self, key: str, value: str) -> None:
        self.entries[key] = value


class OrtValue:
    made = 0

    def __init__(self, array: NDArray[Any]) -> None:
        self._array = array
        OrtValue.made += 1

    @classmethod
    def ortvalue_from_shape_and_type(
        cls, shape: Any, element_type: Any, device_type: str = "cpu", device_id: int = 0
    ) -> "OrtValue":
        assert device_type == "cuda"
        return cls(np.full(shape, 99, element_type))  # not zeros: memory of a device holds anything

    def update_inplace(self, data: NDArray[Any], /) -> None:  # its name differs between versions
        if data.shape != self._array.shape or data.dtype != self._array.dtype:
            raise RuntimeError("The input size of numpy arrays does not match the size of the OrtValue.")
        if not data.flags.c_contiguous:
            raise RuntimeError("only contiguous arrays are supported")
        self._array[...] = data

    def numpy(self) -> NDArray[Any]:
        return self._array.copy()

    def data_ptr(self) -> int:
        return int(self._array.ctypes.data)


class IOBinding:
    def __init__(self, session: "InferenceSession") -> None:
        self.session = session
        self.inputs: dict[str, OrtValue] = {}
        self.outputs: dict[str, OrtValue] = {}

    def bind_ortvalue_input(self, name: str, ortvalue: OrtValue) -> None:
        self.inputs[name] = ortvalue

    def bind_ortvalue_output(self, name: str, ortvalue: OrtValue) -> None:
        self.outputs[name] = ortvalue


class _NodeArg:
    def __init__(self, tensor: TensorRecord) -> None:
        self.name = tensor.name
        self.type = {"float32": "tensor(float)", "int64": "tensor(int64)", "uint8": "tensor(uint8)"}[tensor.dtype]
        self.shape = list(tensor.shape)


class OrtEpAssignedNode:
    name, domain, op_type = "", "", "MatMul"


class OrtEpAssignedSubgraph:
    def __init__(self, ep_name: str, nodes: int) -> None:
        self.ep_name = ep_name
        self._nodes = nodes

    def get_nodes(self) -> list[OrtEpAssignedNode]:
        return [OrtEpAssignedNode()] * self._nodes


class InferenceSession:
    runtime: "FakeOnnxRuntime"

    def __init__(
        self,
        path_or_bytes: Any,
        sess_options: Any = None,
        providers: Any = None,
        provider_options: Any = None,
        **kwargs: Any,
    ) -> None:
        runtime = type(self).runtime
        asked = [item if isinstance(item, tuple) else (item, {}) for item in providers]
        started = [(name, options) for name, options in asked if name in runtime.loadable]
        if not started and sess_options.entries.get("session.disable_cpu_ep_fallback") == "1":
            raise Fail("This session contains graph nodes that are assigned to the default CPU EP")
        name = "probe" if isinstance(path_or_bytes, bytes) else Path(path_or_bytes).stem
        self.options = dict(started)
        self.captures = self.options.get(CUDA, {}).get("enable_cuda_graph") == "1"
        if self.captures and name in runtime.cpu_arithmetic:
            raise Fail(f"This session cannot use the {runtime.feature} feature as requested by the user")
        self.name, self.session_options, self.kwargs = name, sess_options, kwargs
        self.record = runtime.records.get(name)
        self.compute = runtime.compute
        self.graphs: dict[tuple[int, str], tuple[dict[str, OrtValue], dict[str, OrtValue]]] = {}
        runtime.sessions.append(self)

    def get_providers(self) -> list[str]:
        return [*self.options, CPU]

    def get_inputs(self) -> list[_NodeArg]:
        return [_NodeArg(tensor) for tensor in self._signature().inputs]

    def get_outputs(self) -> list[_NodeArg]:
        return [_NodeArg(tensor) for tensor in self._signature().outputs]

    def run(self, output_names: Any, input_feed: Any, run_options: Any = None) -> list[NDArray[Any]]:
        if self.captures and (run_options is None or run_options.entries.get("gpu_graph_id") != "-1"):
            raise Fail("CUDA graphs need an IOBinding, or the run option gpu_graph_id=-1")
        if self.name == "probe":
            if type(self).runtime.cudnn:
                return [np.zeros((1, 1, 3, 3), np.float32)]
            raise Fail("cuDNN is unavailable or disabled for CUDA Execution Provider: dlopen failed for libcudnn.so")
        assert output_names == [tensor.name for tensor in self._signature().outputs]
        return self.compute(input_feed)

    def get_provider_graph_assignment_info(self) -> list[OrtEpAssignedSubgraph]:
        if self.session_options.entries.get("session.record_ep_graph_assignment_info") != "1":
            raise Fail("must be set to 1 to retrieve EP graph assignment information")
        return [OrtEpAssignedSubgraph(*part) for part in type(self).runtime.assigned]

    def io_binding(self) -> IOBinding:
        return IOBinding(self)

    def run_with_iobinding(self, iobinding: IOBinding, run_options: Any = None) -> None:
        inputs, outputs = iobinding.inputs, iobinding.outputs
        if self.captures and (graph := run_options.entries["gpu_graph_id"]) != "-1":
            key = threading.get_ident(), graph
            if key not in self.graphs and type(self).runtime.failing_captures:
                type(self).runtime.failing_captures -= 1
                raise Fail("CUDA failure 901: operation failed due to a previous error during capture")
            # A replay uses the buffers of the capture, whatever is bound now.
            inputs, outputs = self.graphs.setdefault(key, (inputs, outputs))
        results = self.compute({name: value._array for name, value in inputs.items()})
        for tensor, result in zip(self._signature().outputs, results, strict=True):
            outputs[tensor.name]._array[...] = result

    def _signature(self) -> GraphRecord:
        assert self.record is not None
        return self.record


class FakeOnnxRuntime(ModuleType):
    """The module.

    Attributes:
        listed: Providers of this build; the CPU's is always there.
        loadable: Those that really start.
        records: Signature by name of a graph's file.
        compute: What every graph computes.
        cpu_arithmetic: Graphs of which some arithmetic would run on the CPU.
        assigned: Provider and number of nodes, for each part of every graph.
        feature: How this version calls CUDA graphs in its refusal.
        cudnn: cuDNN is there.
        failing_captures: So many captures fail.
        sessions: All that were made.
    """

    __version__ = "1.31.1"
    SessionOptions, RunOptions, OrtValue, IOBinding = SessionOptions, RunOptions, OrtValue, IOBinding

    def __init__(self, compute: Compute, *, listed: tuple[str, ...] = (TENSORRT, CUDA)) -> None:
        super().__init__("onnxruntime")
        self.compute = compute
        self.listed = listed
        self.loadable = set(listed)
        self.records: dict[str, GraphRecord] = {}
        self.cpu_arithmetic: set[str] = set()
        self.assigned: list[tuple[str, int]] = [(TENSORRT, 40)]
        self.feature = "graph capture"
        self.cudnn = True
        self.failing_captures = 0
        self.sessions: list[InferenceSession] = []
        self.severity: list[int] = []
        self.InferenceSession = type("InferenceSession", (InferenceSession,), {"runtime": self})

    def get_available_providers(self) -> list[str]:
        return [*self.listed, CPU]

    def disable_telemetry_events(self) -> None:
        """Switches off what would be sent."""

    def set_default_logger_severity(self, severity: int) -> None:
        self.severity.append(severity)

    def preload_dlls(self, cuda: bool = True, cudnn: bool = True, msvc: bool = True, directory: Any = None) -> None:
        print("Failed to load libcublasLt.so.13")  # on stdout, as the real one does

"""TensorRT without its libraries: the Python API of 10.3, 10.16 and 11.4 as far as engines need it.

Names, arguments and ways to fail are those of NVIDIA's published bindings (python/src/infer/pyCore.cpp of the TensorRT
repository) and of NVIDIA's list of what 11.0 removed; `test_fakes.py` compares names and arguments with
TensorRT-RTX. What such an engine computes, ONNX Runtime computes, on the fake device memory of `fake_cuda`.
"""

import ctypes
import json
import types
from collections.abc import Sequence
from enum import IntEnum
from math import prod
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort

from tests.tensorrt.fake_cuda import FakeCuda

VERSIONS = ("10.3.0", "10.16.2.10", "11.4.1")
MAGIC = b"fake-trt"
LEAST_WORKSPACE = 1 << 20

DataType = IntEnum("DataType", "FLOAT HALF INT8 INT32 BOOL UINT8 FP8 BF16 INT64", start=0)
_NUMPY = {
    DataType.FLOAT: np.float32,
    DataType.HALF: np.float16,
    DataType.INT32: np.int32,
    DataType.INT64: np.int64,
    DataType.UINT8: np.uint8,
    DataType.BOOL: np.bool_,
}
_ONNX = {
    onnx.TensorProto.FLOAT: DataType.FLOAT,
    onnx.TensorProto.FLOAT16: DataType.HALF,
    onnx.TensorProto.INT64: DataType.INT64,
    onnx.TensorProto.UINT8: DataType.UINT8,
}

_FLAGS = (
    "DEBUG GPU_FALLBACK REFIT DISABLE_TIMING_CACHE TF32 SPARSE_WEIGHTS SAFETY_SCOPE DIRECT_IO VERSION_COMPATIBLE "
    "EXCLUDE_LEAN_RUNTIME ERROR_ON_TIMING_CACHE_MISS DISABLE_COMPILATION_CACHE STRIP_PLAN REFIT_IDENTICAL "
    "WEIGHT_STREAMING REFIT_INDIVIDUAL"
)
_FLAGS_UNTIL_10 = " FP16 BF16 INT8 FP8 INT4 OBEY_PRECISION_CONSTRAINTS PREFER_PRECISION_CONSTRAINTS WEIGHTLESS"
_FLAGS_SINCE_10_9 = " EDITABLE_TIMING_CACHE STRICT_NANS MONITOR_MEMORY DISTRIBUTIVE_INDEPENDENCE"


class _Bound:
    """Like a pybind11 class: what it does not have cannot be set either, unless Python code derives from it."""

    def __setattr__(self, name: str, value: Any) -> None:
        if type(self).__module__ == __name__ and not name.startswith("_") and not hasattr(type(self), name):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        object.__setattr__(self, name, value)


class ILogger(_Bound):
    INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)

    def log(self, severity: int, message: str) -> None:
        raise NotImplementedError


class IProgressMonitor(_Bound):
    def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
        raise NotImplementedError

    def step_complete(self, phase_name: str, step: int) -> bool:
        raise NotImplementedError

    def phase_finish(self, phase_name: str) -> None:
        raise NotImplementedError


class ITensor:
    def __init__(self, value: onnx.ValueInfoProto) -> None:
        self.name = value.name
        self.dtype = _ONNX[value.type.tensor_type.elem_type]
        self.shape = tuple(-1 if dim.dim_param else dim.dim_value for dim in value.type.tensor_type.shape.dim)


class INetworkDefinition:
    def __init__(self) -> None:
        self._onnx = ""
        self._flags = 0
        self._inputs: list[ITensor] = []
        self._outputs: list[ITensor] = []

    num_inputs = property(lambda self: len(self._inputs))
    num_outputs = property(lambda self: len(self._outputs))

    def get_input(self, index: int) -> ITensor:
        return self._inputs[index]

    def get_output(self, index: int) -> ITensor:
        return self._outputs[index]


class ParserError:
    def __init__(self, node: str, text: str) -> None:
        self._node, self._text = node, text

    def desc(self) -> str:
        return self._text

    def node_name(self) -> str:
        return self._node


class OnnxParser:
    def __init__(self, network: INetworkDefinition, logger: ILogger) -> None:
        self._network, self._logger = network, logger
        self._errors: list[ParserError] = []

    num_errors = property(lambda self: len(self._errors))

    def get_error(self, index: int) -> ParserError:
        return self._errors[index]

    def parse_from_file(self, model: str) -> bool:
        if self._network._onnx:
            self._logger.log(ILogger.ERROR, "Parse was called with a non-empty network definition")
            return False
        graph = onnx.load(model, load_external_data=False).graph
        self._errors = [
            ParserError(node.name, "NonZero plugin creator version 1 was not found")
            for node in graph.node
            if node.op_type == "NonZero"
        ]
        self._network._onnx = model
        self._network._inputs = [ITensor(value) for value in graph.input]
        self._network._outputs = [ITensor(value) for value in graph.output]
        return not self._errors

    def supports_model_v2(self, model: bytes, path: str | None = None) -> bool:
        self._network._onnx = path or "model"  # fills the network, as the real one does
        return True


class IOptimizationProfile:
    def __init__(self) -> None:
        self._shapes: dict[str, list[list[int]]] = {}

    def set_shape(self, input: str, min: Sequence[int], opt: Sequence[int], max: Sequence[int]) -> None:
        self._shapes[input] = [list(min), list(opt), list(max)]


class ITimingCache:
    def __init__(self, content: bytes) -> None:
        self._content = content

    def serialize(self) -> bytes:
        return self._content


class IBuilderConfig(_Bound):
    builder_optimization_level = 3
    max_aux_streams = 1
    profiling_verbosity = 0
    progress_monitor = None

    def __init__(self, logger: ILogger, version: str, flags: set[IntEnum]) -> None:
        self._logger, self._version = logger, version
        self._profiles: list[IOptimizationProfile] = []
        self._flags = flags
        self._limits: dict[IntEnum, int] = {}
        self._cache: ITimingCache | None = None

    def set_memory_pool_limit(self, pool: IntEnum, pool_size: int) -> None:
        self._limits[pool] = pool_size

    def set_flag(self, flag: IntEnum) -> None:
        self._flags.add(flag)

    def clear_flag(self, flag: IntEnum) -> None:
        self._flags.discard(flag)

    def add_optimization_profile(self, profile: IOptimizationProfile) -> int:
        for name, (low, opt, high) in profile._shapes.items():
            if not all(a <= b <= c for a, b, c in zip(low, opt, high, strict=True)):
                self._logger.log(
                    ILogger.ERROR, f"Invalid optimization profiles for input tensors {name}, MIN<=OPT<=MAX"
                )
                return -1
        self._profiles.append(profile)
        return len(self._profiles) - 1

    def create_timing_cache(self, serialized_timing_cache: bytes) -> ITimingCache | None:
        return ITimingCache(bytes(serialized_timing_cache))

    def set_timing_cache(self, cache: ITimingCache, ignore_mismatch: bool) -> bool:
        if cache._content and not cache._content.startswith(self._version.encode()):
            self._logger.log(ILogger.ERROR, "The timing cache is of another version")
            return False
        self._cache = cache
        return True

    def get_timing_cache(self) -> ITimingCache | None:
        return self._cache


class Builder:
    _version = ""
    _has_gpu = True
    _module: Any = None

    def __init__(self, logger: ILogger) -> None:
        if not self._has_gpu:
            logger.log(ILogger.ERROR, "CUDA initialization failure with error: 35")
            raise TypeError("pybind11::init(): factory function returned nullptr")
        self._logger = logger

    def create_network(self, flags: int = 0) -> INetworkDefinition:
        network = INetworkDefinition()
        network._flags = flags
        return network

    def create_builder_config(self) -> IBuilderConfig:
        return IBuilderConfig(self._logger, self._version, {self._module.BuilderFlag.TF32})

    def create_optimization_profile(self) -> IOptimizationProfile:
        return IOptimizationProfile()

    def build_serialized_network(self, network: INetworkDefinition, config: IBuilderConfig) -> bytes | None:
        monitor = config.progress_monitor
        if monitor is not None:
            monitor.phase_start("Building engine", None, 2)
            monitor.phase_start("Cloning network graph", "Building engine", 1)
            monitor.step_complete("Cloning network graph", 0)
            monitor.step_complete("Building engine", 0)
        if problem := self._problem(network, config):
            self._logger.log(ILogger.ERROR, problem)
            return None
        self._logger.log(ILogger.INFO, "Total Activation Memory: 4096 bytes")
        if config._cache is not None:
            config._cache._content = self._version.encode() + b" timings of " + network._onnx.encode()
        if monitor is not None:
            monitor.step_complete("Building engine", 1)
            monitor.phase_finish("Building engine")
        creation = self._module.NetworkDefinitionCreationFlag
        return (
            MAGIC
            + json.dumps(
                {
                    "version": self._version,
                    "onnx": network._onnx,
                    "profiles": [profile._shapes for profile in config._profiles],
                    "strongly_typed": bool(network._flags & 1 << creation.STRONGLY_TYPED),
                    "flags": sorted(flag.name for flag in config._flags),
                    "inputs": {tensor.name: tensor.dtype for tensor in network._inputs},
                    "outputs": {tensor.name: tensor.dtype for tensor in network._outputs},
                }
            ).encode()
        )

    def _problem(self, network: INetworkDefinition, config: IBuilderConfig) -> str:
        dynamic = {tensor.name for tensor in network._inputs if -1 in tensor.shape}
        if dynamic and not config._profiles:
            return "Network has dynamic or shape inputs, but no optimization profile has been defined."
        if any(dynamic - profile._shapes.keys() for profile in config._profiles):
            return "a profile lacks a dynamic input"
        if any(pool.name == "WORKSPACE" and size < LEAST_WORKSPACE for pool, size in config._limits.items()):
            return "Could not find any implementation for node {ForeignNode[/conv]}."
        return ""


class IExecutionContext:
    def __init__(self, engine: "ICudaEngine", strategy: IntEnum) -> None:
        self._engine = engine
        self._needs_memory = strategy.name == "USER_MANAGED"
        self._profile = 0
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._addresses: dict[str, int] = {}
        self._outputs: dict[tuple[tuple[int, ...], ...], dict[str, tuple[int, ...]]] = {}

    def set_device_memory(self, memory: int, size: int) -> None:
        if size < self._engine.device_memory_size_v2:
            raise RuntimeError("device memory is too small")
        self._needs_memory = False

    def set_optimization_profile_async(self, profile_index: int, stream_handle: int) -> bool:
        self._profile = profile_index
        return profile_index < len(self._engine._plan["profiles"])

    def set_input_shape(self, name: str, shape: Sequence[int]) -> bool:
        low, _, high = self._engine._plan["profiles"][self._profile][name]
        if not all(a <= b <= c for a, b, c in zip(low, shape, high, strict=True)):
            self._engine._logger.log(ILogger.ERROR, f"{name}: {tuple(shape)} is outside of the profile")
            return False
        self._shapes[name] = tuple(shape)
        return True

    def infer_shapes(self) -> list[str]:
        return [name for name in self._engine._plan["inputs"] if name not in self._shapes]

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        if name in self._shapes:
            return self._shapes[name]
        key = tuple(self._shapes.values())
        if key not in self._outputs:
            zeros = {
                key: np.zeros(shape, self._engine._numpy(key)) if key not in _LENGTHS else np.full(shape, 4000)
                for key, shape in self._shapes.items()
            }
            self._outputs[key] = {key: value.shape for key, value in self._engine._compute(zeros).items()}
        return self._outputs[key][name]

    def set_tensor_address(self, name: str, memory: int) -> bool:
        self._addresses[name] = memory
        return True

    def execute_async_v3(self, stream_handle: int) -> bool:
        names = {*self._engine._plan["inputs"], *self._engine._plan["outputs"]}
        if self._needs_memory or names - self._addresses.keys():
            self._engine._logger.log(ILogger.ERROR, "no memory or address was set")
            return False
        inputs = {name: (self._addresses[name], shape) for name, shape in self._shapes.items()}
        outputs = {name: self._addresses[name] for name in self._engine._plan["outputs"]}
        self._engine._cuda.enqueue(stream_handle, lambda: self._engine._execute(inputs, outputs))
        return True


_LENGTHS = ("samples", "audio_lengths", "visual_lengths")


class ICudaEngine:
    device_memory_size_v2 = 4096

    def __init__(self, plan: dict[str, Any], logger: ILogger, cuda: FakeCuda) -> None:
        self._plan, self._logger, self._cuda = plan, logger, cuda
        self._filled = "STRIP_PLAN" not in plan["flags"]
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = ort.InferenceSession(plan["onnx"], options, providers=["CPUExecutionProvider"])

    num_io_tensors = property(lambda self: len(self._plan["inputs"]) + len(self._plan["outputs"]))
    num_optimization_profiles = property(lambda self: len(self._plan["profiles"]))

    def get_tensor_name(self, index: int) -> str:
        return [*self._plan["inputs"], *self._plan["outputs"]][index]

    def get_tensor_dtype(self, name: str) -> DataType:
        return DataType({**self._plan["inputs"], **self._plan["outputs"]}[name])

    def create_execution_context(self, strategy: IntEnum) -> IExecutionContext:
        return IExecutionContext(self, strategy)

    def _numpy(self, name: str) -> Any:
        return _NUMPY[self.get_tensor_dtype(name)]

    def _compute(self, inputs: dict[str, Any]) -> dict[str, Any]:
        names = list(self._plan["outputs"])
        return dict(zip(names, self._session.run(names, inputs), strict=True))

    def _execute(self, inputs: dict[str, tuple[int, tuple[int, ...]]], outputs: dict[str, int]) -> None:
        arrays = {}
        for name, (address, shape) in inputs.items():
            dtype = np.dtype(self._numpy(name))
            size = prod(shape) * dtype.itemsize
            arrays[name] = np.frombuffer(ctypes.string_at(address, size), dtype).reshape(shape)
        for name, value in self._compute(arrays).items():
            value = value if self._filled else np.zeros_like(value)
            ctypes.memmove(outputs[name], np.ascontiguousarray(value).ctypes.data, value.nbytes)


class Runtime(_Bound):
    engine_host_code_allowed = False
    _version = ""
    _cuda = None

    def __init__(self, logger: ILogger) -> None:
        self._logger = logger

    def deserialize_cuda_engine(self, serialized_engine: bytes) -> ICudaEngine | None:
        if not serialized_engine.startswith(MAGIC):
            self._logger.log(ILogger.ERROR, "Magic tag does not match")
            return None
        plan = json.loads(serialized_engine[len(MAGIC) :])
        portable = "VERSION_COMPATIBLE" in plan["flags"] and self.engine_host_code_allowed
        if plan["version"] != self._version and not portable:
            self._logger.log(ILogger.ERROR, "The engine plan file is not compatible with this version of TensorRT")
            return None
        assert self._cuda is not None
        return ICudaEngine(plan, self._logger, self._cuda)


class Refitter:
    def __init__(self, engine: ICudaEngine, logger: ILogger) -> None:
        self._engine = engine
        self._read = False

    def refit_cuda_engine(self) -> bool:
        self._engine._filled = self._read
        return self._read


class OnnxParserRefitter:
    def __init__(self, refitter: Refitter, logger: ILogger) -> None:
        self._refitter = refitter

    def refit_from_file(self, model: str) -> bool:
        self._refitter._read = model == self._refitter._engine._plan["onnx"]
        return self._refitter._read


def nptype(dtype: DataType) -> Any:
    return _NUMPY[dtype]


def make_tensorrt(version: str, cuda: FakeCuda | None = None, *, gpu: bool = True) -> types.ModuleType:
    """Make a module with the API of a version.

    Args:
        version: One of `VERSIONS`.
        cuda: Where engines run; needed to load any.
        gpu: Whether builders find a GPU.
    """
    numbers = tuple(map(int, version.split(".")))
    module = types.ModuleType("tensorrt")
    module.__version__ = version  # type: ignore[attr-defined]
    for item in (ILogger, IProgressMonitor, OnnxParserRefitter, Refitter, DataType, nptype, IExecutionContext):
        setattr(module, item.__name__, item)
    flags = _FLAGS + (_FLAGS_UNTIL_10 if numbers < (11,) else "") + (_FLAGS_SINCE_10_9 if numbers >= (10, 9) else "")
    creation = "EXPLICIT_BATCH STRONGLY_TYPED" if numbers < (11,) else "STRONGLY_TYPED"
    module.BuilderFlag = IntEnum("BuilderFlag", flags, start=0)  # type: ignore[attr-defined]
    module.NetworkDefinitionCreationFlag = IntEnum("NetworkDefinitionCreationFlag", creation, start=0)  # type: ignore[attr-defined]
    pools = "WORKSPACE DLA_MANAGED_SRAM DLA_LOCAL_DRAM DLA_GLOBAL_DRAM TACTIC_DRAM TACTIC_SHARED_MEMORY"
    module.MemoryPoolType = IntEnum("MemoryPoolType", pools, start=0)  # type: ignore[attr-defined]
    module.ProfilingVerbosity = IntEnum("ProfilingVerbosity", "LAYER_NAMES_ONLY NONE DETAILED", start=0)  # type: ignore[attr-defined]
    module.ExecutionContextAllocationStrategy = IntEnum(  # type: ignore[attr-defined]
        "ExecutionContextAllocationStrategy", "STATIC ON_PROFILE_CHANGE USER_MANAGED", start=0
    )

    class VersionedParser(OnnxParser):
        pass

    class VersionedBuilder(Builder):
        _version, _has_gpu, _module = version, gpu, module

    class VersionedRuntime(Runtime):
        _version, _cuda = version, cuda

    if numbers < (11,):  # removed in 11.0
        VersionedParser.supports_model = OnnxParser.supports_model_v2  # type: ignore[attr-defined]
        VersionedBuilder.platform_has_fast_fp16 = True  # type: ignore[attr-defined]
    module.OnnxParser = VersionedParser  # type: ignore[attr-defined]
    module.Builder = VersionedBuilder  # type: ignore[attr-defined]
    module.ICudaEngine = ICudaEngine  # type: ignore[attr-defined]
    module.Runtime = VersionedRuntime  # type: ignore[attr-defined]
    return module

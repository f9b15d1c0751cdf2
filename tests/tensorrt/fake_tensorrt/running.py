"""From a plan to answers: the engine, its execution contexts and the refitter."""

import ctypes
import json
import weakref
from collections.abc import Sequence
from enum import IntEnum
from math import prod
from typing import Any

import numpy as np
import onnxruntime as ort

from tests.tensorrt.fake_cuda import FakeCuda
from tests.tensorrt.fake_tensorrt.base import NUMPY_TYPES, Bound, DataType, ILogger
from tests.tensorrt.fake_tensorrt.building import MAGIC

GARBAGE = 0x3F  # as float32 0.747, as float16 1.81: not NaN, which a reader would notice
_LENGTHS = ("samples", "audio_lengths", "visual_lengths")


class IExecutionContext:
    def __init__(self, engine: "ICudaEngine", strategy: IntEnum) -> None:
        self._engine = engine
        self._needs_memory = strategy.name == "USER_MANAGED"
        self._profile = 0
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._addresses: dict[str, int] = {}
        self._outputs: dict[tuple[tuple[int, ...], ...], dict[str, tuple[int, ...]]] = {}
        engine._cuda.contexts += 1

    def __del__(self) -> None:
        self._engine._cuda.contexts -= 1

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
        at_capture = dict(self._shapes)
        context = weakref.ref(self)

        def compute() -> None:
            alive = context()
            assert alive is not None, "a CUDA graph was launched after its context was destroyed"
            alive._compute(at_capture)

        self._engine._cuda.enqueue(stream_handle, compute)
        return True

    def _compute(self, at_capture: dict[str, tuple[int, ...]]) -> None:
        """Run kernels that were enqueued for some shapes. They use the sizes that the context holds now."""
        outputs = {name: self._addresses[name] for name in self._engine._plan["outputs"]}
        if self._shapes == at_capture:
            inputs = {name: (self._addresses[name], shape) for name, shape in self._shapes.items()}
            self._engine._execute(inputs, outputs)
            return
        for name, address in outputs.items():
            size = prod(self.get_tensor_shape(name)) * np.dtype(self._engine._numpy(name)).itemsize
            ctypes.memset(address, GARBAGE, size)


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

    def create_execution_context(self, strategy: IntEnum) -> IExecutionContext | None:
        if self._cuda.captures():  # it allocates, which breaks a capture
            self._logger.log(ILogger.ERROR, "a stream is being captured")
            return None
        return IExecutionContext(self, strategy)

    def _numpy(self, name: str) -> Any:
        return NUMPY_TYPES[self.get_tensor_dtype(name)]

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


class Runtime(Bound):
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

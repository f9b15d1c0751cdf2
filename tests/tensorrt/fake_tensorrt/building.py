"""From an ONNX file to a plan: the network, its parser and the builder."""

import json
from collections.abc import Sequence
from enum import IntEnum
from typing import Any

import onnx

from tests.tensorrt.fake_tensorrt.base import FROM_ONNX, Bound, ILogger

MAGIC = b"fake-trt"
LEAST_WORKSPACE = 1 << 20


class ITensor:
    def __init__(self, value: onnx.ValueInfoProto) -> None:
        self.name = value.name
        self.dtype = FROM_ONNX[value.type.tensor_type.elem_type]
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


class IBuilderConfig(Bound):
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

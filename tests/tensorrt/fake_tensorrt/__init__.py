"""TensorRT without its libraries: the Python API of 10.3, 10.16 and 11.4 as far as engines need it.

Names, arguments and ways to fail are those of NVIDIA's published bindings (python/src/infer/pyCore.cpp of the TensorRT
repository) and of NVIDIA's list of what 11.0 removed; `test_fakes.py` compares names and arguments with
TensorRT-RTX. What such an engine computes, ONNX Runtime computes, on the fake device memory of `fake_cuda`.
"""

from tests.tensorrt.fake_tensorrt.base import IProgressMonitor
from tests.tensorrt.fake_tensorrt.building import (
    MAGIC,
    Builder,
    IBuilderConfig,
    INetworkDefinition,
    IOptimizationProfile,
    ITimingCache,
    OnnxParser,
)
from tests.tensorrt.fake_tensorrt.library import VERSIONS, make_tensorrt
from tests.tensorrt.fake_tensorrt.running import ICudaEngine, IExecutionContext, OnnxParserRefitter, Refitter, Runtime

__all__ = [
    "MAGIC",
    "VERSIONS",
    "Builder",
    "IBuilderConfig",
    "ICudaEngine",
    "IExecutionContext",
    "INetworkDefinition",
    "IOptimizationProfile",
    "IProgressMonitor",
    "ITimingCache",
    "OnnxParser",
    "OnnxParserRefitter",
    "Refitter",
    "Runtime",
    "make_tensorrt",
]

"""The module of a version of TensorRT."""

import types
from enum import IntEnum

from tests.tensorrt.fake_cuda import FakeCuda
from tests.tensorrt.fake_tensorrt.base import DataType, ILogger, IProgressMonitor, nptype
from tests.tensorrt.fake_tensorrt.building import Builder, OnnxParser
from tests.tensorrt.fake_tensorrt.running import ICudaEngine, IExecutionContext, OnnxParserRefitter, Refitter, Runtime

VERSIONS = ("10.3.0", "10.16.2.10", "11.4.1")

_FLAGS = (
    "DEBUG GPU_FALLBACK REFIT DISABLE_TIMING_CACHE TF32 SPARSE_WEIGHTS SAFETY_SCOPE DIRECT_IO VERSION_COMPATIBLE "
    "EXCLUDE_LEAN_RUNTIME ERROR_ON_TIMING_CACHE_MISS DISABLE_COMPILATION_CACHE STRIP_PLAN REFIT_IDENTICAL "
    "WEIGHT_STREAMING REFIT_INDIVIDUAL"
)
_FLAGS_UNTIL_10 = " FP16 BF16 INT8 FP8 INT4 OBEY_PRECISION_CONSTRAINTS PREFER_PRECISION_CONSTRAINTS WEIGHTLESS"
_FLAGS_SINCE_10_9 = " EDITABLE_TIMING_CACHE STRICT_NANS MONITOR_MEMORY DISTRIBUTIVE_INDEPENDENCE"


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

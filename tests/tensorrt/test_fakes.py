"""The fakes offer nothing that the real libraries lack, so that the code above them is not tested against wishes."""

import types

import pytest

from tests.tensorrt.fake_cuda import ALLOWED
from tests.tensorrt.fake_tensorrt import (
    IBuilderConfig,
    ICudaEngine,
    IExecutionContext,
    INetworkDefinition,
    IOptimizationProfile,
    ITimingCache,
    Runtime,
    make_tensorrt,
)

HELD = (IBuilderConfig, ICudaEngine, IExecutionContext, INetworkDefinition, IOptimizationProfile, ITimingCache, Runtime)


def public(item: type) -> set[str]:
    return {name for name in dir(item) if not name.startswith("_")}


def test_cuda_names_are_those_of_cuda_python() -> None:
    runtime = pytest.importorskip("cuda.bindings.runtime")
    assert {name for name in ALLOWED if not hasattr(runtime, name)} == set()


def removed(module: types.ModuleType) -> set[str]:
    """What 11.0 removed and the module still has."""
    names = [(module.BuilderFlag, "FP16"), (module.NetworkDefinitionCreationFlag, "EXPLICIT_BATCH")]
    names += [(module.OnnxParser, "supports_model"), (module.Builder, "platform_has_fast_fp16")]
    return {name for holder, name in names if hasattr(holder, name)}


def test_versions_differ_as_nvidia_lists_it() -> None:
    assert removed(make_tensorrt("10.3.0")) == {"FP16", "EXPLICIT_BATCH", "supports_model", "platform_has_fast_fp16"}
    assert removed(make_tensorrt("11.4.1")) == set()
    assert not hasattr(make_tensorrt("10.3.0").BuilderFlag, "EDITABLE_TIMING_CACHE")
    assert hasattr(make_tensorrt("10.16.2.10").BuilderFlag, "EDITABLE_TIMING_CACHE")


@pytest.mark.trt_rtx
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_names_of_11_are_those_of_tensorrt_rtx() -> None:
    real = pytest.importorskip("tensorrt_rtx")
    fake = make_tensorrt("11.4.1")
    assert removed(real) == set()
    for item in (*HELD, *(value for value in vars(fake).values() if isinstance(value, type))):
        holder = getattr(real, item.__name__.removeprefix("Versioned"), None) or getattr(
            real, next(name for name, value in vars(fake).items() if value is item)
        )
        assert public(item) - {"from_bytes", "to_bytes"} <= public(holder) | public(int), item.__name__

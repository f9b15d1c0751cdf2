"""The fakes offer nothing that the real libraries lack, so that the code above them is not tested against wishes."""

import inspect
import re
import types
from collections.abc import Callable
from typing import Any

import pytest

from tests.tensorrt.fake_cuda import ALLOWED, FakeCuda
from tests.tensorrt.fake_tensorrt import (
    Builder,
    IBuilderConfig,
    ICudaEngine,
    IExecutionContext,
    INetworkDefinition,
    IOptimizationProfile,
    IProgressMonitor,
    ITimingCache,
    OnnxParser,
    OnnxParserRefitter,
    Refitter,
    Runtime,
    make_tensorrt,
)

HELD = (IBuilderConfig, ICudaEngine, IExecutionContext, INetworkDefinition, IOptimizationProfile, ITimingCache, Runtime)

MADE = (Builder, OnnxParser, OnnxParserRefitter, Refitter, Runtime)  # by our code, others by TensorRT


def public(item: type) -> set[str]:
    return {name for name in dir(item) if not name.startswith("_")}


def test_cuda_names_are_those_of_cuda_python() -> None:
    runtime = pytest.importorskip("cuda.bindings.runtime")
    assert {name for name in ALLOWED if not hasattr(runtime, name)} == set()


def test_cuda_functions_take_what_those_of_cuda_python_take() -> None:
    """They are called by position: names differ between versions."""
    runtime = pytest.importorskip("cuda.bindings.runtime")
    functions = [name for name in ALLOWED if inspect.isfunction(getattr(FakeCuda, name))]
    assert len(functions) > 10
    for name in functions:
        ours, theirs = (
            inspect.signature(item).parameters for item in (getattr(FakeCuda, name), getattr(runtime, name))
        )
        assert len(ours) - 1 == len(theirs), name  # without self


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


def published(method: Any) -> list[dict[str, bool]]:
    """Signatures by a docstring of pybind11, an overload each: parameter -> whether it has a default."""
    name, text = method.__name__, method.__doc__ or ""
    found = []
    for line in re.findall(rf"^(?:\d+\. )?{name}\((self: .*)\) -> ", text, re.M):
        while (plain := re.sub(r"\[[^\[\]]*\]|<[^<>]*>|\([^()]*\)", "", line)) != line:  # types, defaults, nested
            line = plain
        found.append({part.split(":")[0].strip(): "=" in part for part in line.split(",")[1:]})
    return found


def accepts(theirs: dict[str, bool], ours: list[inspect.Parameter]) -> bool:
    """Whether every call that a fake takes is one that the real method takes, by position or by name."""
    names = list(theirs)
    if [parameter.name for parameter in ours] != names[: len(ours)] or not all(list(theirs.values())[len(ours) :]):
        return False
    return all(theirs[parameter.name] for parameter in ours if parameter.default is not parameter.empty)


def methods(fake: type) -> list[tuple[str, Callable[..., Any]]]:
    """What our code calls."""
    found = [(name, value) for name, value in vars(fake).items() if inspect.isfunction(value) and name[0] != "_"]
    return found + ([("__init__", vars(fake)["__init__"])] if fake in MADE else [])


@pytest.mark.trt_rtx
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_methods_take_what_those_of_tensorrt_rtx_take() -> None:
    real = pytest.importorskip("tensorrt_rtx")
    compared = 0
    for fake in {*HELD, *MADE, IProgressMonitor}:
        for name, method in methods(fake):
            ours = list(inspect.signature(method).parameters.values())[1:]
            theirs = published(getattr(getattr(real, fake.__name__), name))
            assert theirs, f"{fake.__name__}.{name} publishes no signature"
            assert any(accepts(one, ours) for one in theirs), f"{fake.__name__}.{name}: {theirs}"
            compared += 1
    assert compared > 30


def test_a_fake_of_another_signature_is_found() -> None:
    def method() -> None:
        """method(self: a.B, name: str, shape: tuple[int, int], index: a.S = <S.X: 0>, last: int = 3) -> bool."""

    (theirs,) = published(method)
    assert theirs == {"name": False, "shape": False, "index": True, "last": True}

    def check(fake: Callable[..., Any]) -> bool:
        return accepts(theirs, list(inspect.signature(fake).parameters.values()))

    assert check(lambda name, shape: None)
    assert check(lambda name, shape, index=0: None)
    assert check(lambda name, shape, index: None)
    assert not check(lambda name: None)
    assert not check(lambda shape, name: None)
    assert not check(lambda name, shape=None: None)
    assert not check(lambda name, shape, extra=None: None)

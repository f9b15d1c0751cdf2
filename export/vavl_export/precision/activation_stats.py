"""Reads tensors inside a graph while it runs: their largest magnitudes, or their values."""

from collections.abc import Iterable

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from vavl_export.precision.sessions import open_session
from vavl_runtime.bundle.golden import Arrays

_MAGNITUDE, _LARGEST = ".magnitude", ".largest"


def largest_magnitudes(model: onnx.ModelProto, tensors: Iterable[str], inputs: Iterable[Arrays]) -> dict[str, float]:
    """Find the largest magnitude of tensors over several inputs.

    Args:
        model: An fp32 graph with its weights inside; not changed.
        tensors: Names of tensors of the graph.
        inputs: Inputs to run the graph on, by name.

    Returns:
        The largest absolute value of each tensor; infinite if the tensor ever held a value that is not finite.
    """
    names = sorted(tensors)
    if not names:
        return {}
    observed = onnx.ModelProto()
    observed.CopyFrom(model)
    for name in names:
        observed.graph.node.append(helper.make_node("Abs", [name], [name + _MAGNITUDE]))
        observed.graph.node.append(helper.make_node("ReduceMax", [name + _MAGNITUDE], [name + _LARGEST], keepdims=0))
        observed.graph.output.append(helper.make_tensor_value_info(name + _LARGEST, TensorProto.FLOAT, []))
    session = open_session(observed, optimize=False)
    largest = dict.fromkeys(names, 0.0)
    for fed in inputs:
        for name, value in zip(names, session.run([name + _LARGEST for name in names], fed), strict=True):
            largest[name] = max(largest[name], float(value) if np.isfinite(value) else float("inf"))
    return largest


def capture_tensors(model: onnx.ModelProto, tensors: Iterable[str], fed: Arrays) -> dict[str, "NDArray[np.float32]"]:
    """Run a graph once and return tensors from inside it.

    Args:
        model: An fp32 graph with its weights inside; not changed.
        tensors: Names of tensors of the graph.
        fed: Inputs by name.

    Returns:
        The values of the tensors by name.
    """
    names = sorted(tensors)
    observed = onnx.ModelProto()
    observed.CopyFrom(model)
    outputs = {value.name for value in observed.graph.output}
    for name in names:
        if name not in outputs:
            observed.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    return dict(zip(names, open_session(observed, optimize=False).run(names, fed), strict=True))

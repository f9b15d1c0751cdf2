"""Looks inside a graph while it runs: the peak of every tensor, or the tensors themselves."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import TensorProto, helper

from vavl_export.golden import Arrays

PEAK = ".peak"


def open_session(graph: onnx.ModelProto | Path, *, optimize: bool = True) -> ort.InferenceSession:
    """Open a graph on the CPU.

    Args:
        graph: Its file, or the graph with its weights inside.
        optimize: Let ONNX Runtime rewrite it.

    Returns:
        The session.
    """
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # several are open at once
    if not optimize:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    source = graph if isinstance(graph, Path) else graph.SerializeToString()
    return ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def peaks(model: onnx.ModelProto, tensors: Iterable[str], inputs: Iterable[Arrays]) -> dict[str, float]:
    """Find the largest magnitude of tensors over some inputs.

    Args:
        model: An fp32 graph, weights inside; not changed.
        tensors: Which of its tensors.
        inputs: Inputs to run it on.

    Returns:
        Largest absolute value by tensor; infinite if the tensor ever held something that is not finite.
    """
    names = sorted(tensors)
    if not names:
        return {}
    probed = onnx.ModelProto()
    probed.CopyFrom(model)
    for name in names:
        probed.graph.node.append(helper.make_node("Abs", [name], [f"{name}.size"]))
        probed.graph.node.append(helper.make_node("ReduceMax", [f"{name}.size"], [name + PEAK], keepdims=0))
        probed.graph.output.append(helper.make_tensor_value_info(name + PEAK, TensorProto.FLOAT, []))
    session = open_session(probed, optimize=False)
    found = dict.fromkeys(names, 0.0)
    for fed in inputs:
        for name, value in zip(names, session.run([name + PEAK for name in names], fed), strict=True):
            found[name] = max(found[name], float(value) if np.isfinite(value) else float("inf"))
    return found


def tensors_of(model: onnx.ModelProto, tensors: Iterable[str], fed: Arrays) -> dict[str, "NDArray[np.float32]"]:
    """Run a graph once and keep tensors from inside.

    Args:
        model: An fp32 graph, weights inside; not changed.
        tensors: Which of its tensors.
        fed: Inputs by name.

    Returns:
        The tensors by name.
    """
    names = sorted(tensors)
    probed = onnx.ModelProto()
    probed.CopyFrom(model)
    outputs = {value.name for value in probed.graph.output}
    for name in names:
        if name not in outputs:
            probed.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    return dict(zip(names, open_session(probed, optimize=False).run(names, fed), strict=True))

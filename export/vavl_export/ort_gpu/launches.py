"""Counts what a graph launches on a GPU with ONNX Runtime's CUDA provider, from the graph alone.

A launch is a kernel, a product of cuBLAS, a convolution of cuDNN, or a copy on the device. Operators that only give a
tensor another shape launch nothing. Neither do those that compute shapes: ONNX Runtime runs them on the CPU. ONNX
Runtime joins GELU and SiLU by itself, so they count once.

The counts by operator were measured with ONNX Runtime 1.30, whose calls of CUDA, cuBLAS and cuDNN were counted. A
convolution counts once; how many kernels cuDNN makes of it depends on the GPU.
"""

from collections import Counter
from dataclasses import dataclass

import onnx
from onnx import NodeProto, TensorProto

from vavl_export.ort_gpu.elementwise import join_gelu, join_silu

_NONE = frozenset({"Constant", "Flatten", "Identity", "Reshape", "Shape", "Size", "Squeeze", "Unsqueeze"})
# Their results are on the GPU, even if all they read is a shape.
_FROM_SHAPES = frozenset({"ConstantOfShape", "Expand", "Range"})
# Attention: product of packed weights; bias and layout; memory-efficient attention. ReduceMean: sums; division.
_SEVERAL = {"Attention": 3, "ReduceMean": 2}
_INTEGERS = frozenset({TensorProto.INT32, TensorProto.INT64})
_SMALL = 64  # values; constants of GELU have one


@dataclass(frozen=True)
class Launches:
    """What a graph launches.

    Attributes:
        nodes: Operators of the graph.
        launches: Launches of one run.
        by_operator: The same by type of operator.
    """

    nodes: int
    launches: int
    by_operator: dict[str, int]


def count_launches(model: onnx.ModelProto) -> Launches:
    """Count what a graph launches.

    Args:
        model: The graph; its weights may be external.

    Returns:
        The counts.
    """
    joined = _without_weights(model)
    join_gelu(joined)
    join_silu(joined)
    constants = {tensor.name for tensor in joined.graph.initializer}
    weights = {tensor.name for tensor in joined.graph.initializer if tensor.data_type not in _INTEGERS}
    on_host: set[str] = set()
    counts: Counter[str] = Counter()
    for node in joined.graph.node:
        read = [name for name in node.input if name and name not in constants]
        computes_shapes = on_host.issuperset(read) and weights.isdisjoint(node.input)
        if not read:
            constants.update(node.output)  # folded when the graph is opened
            weights.update(node.output)
        elif node.op_type == "Shape" or (computes_shapes and node.op_type not in _FROM_SHAPES):
            on_host.update(node.output)
        elif node.op_type not in _NONE:
            counts[node.op_type] += _launches(node)
    return Launches(len(model.graph.node), counts.total(), dict(counts.most_common()))


def _launches(node: NodeProto) -> int:
    if node.op_type == "Gemm":
        return 2 if len(node.input) == 3 else 1  # the bias is spread over the result, then the product is added
    return _SEVERAL.get(node.op_type, 1)


def _without_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """Copy a graph; large weights keep name, type and shape alone."""
    copied = onnx.ModelProto(opset_import=model.opset_import)
    copied.graph.node.extend(model.graph.node)
    copied.graph.input.extend(model.graph.input)
    copied.graph.output.extend(model.graph.output)
    for tensor in model.graph.initializer:
        large = tensor.data_location == TensorProto.EXTERNAL or onnx.numpy_helper.to_array(tensor).size > _SMALL
        copied.graph.initializer.append(
            TensorProto(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims) if large else tensor
        )
    return copied

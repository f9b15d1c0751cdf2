"""Infers the types of tensors inside a graph."""

import numpy as np
import onnx
from onnx import helper, shape_inference

LARGEST_SHAPE = 64  # values; an initializer of more than these is a weight, not a shape or an axis


def infer_types(model: onnx.ModelProto) -> onnx.GraphProto:
    """Infer element types and shapes of all tensors.

    Weights are left out first: inference copies the whole model twice, gigabytes for a large encoder, and never reads
    them.

    Args:
        model: A graph with its weights inside; not changed.

    Returns:
        The graph without weights, with a ``value_info`` for each tensor that operators compute. Weights are among its
        inputs.
    """
    bare = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import)
    bare.graph.name = model.graph.name
    for field in ("node", "input", "output", "value_info"):
        getattr(bare.graph, field).extend(getattr(model.graph, field))
    for tensor in model.graph.initializer:
        if np.prod(tensor.dims) > LARGEST_SHAPE:
            bare.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
        else:
            bare.graph.initializer.append(tensor)
    return shape_inference.infer_shapes(bare, strict_mode=True).graph

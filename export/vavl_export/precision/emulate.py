"""Emulates hardware that computes in fp16 or bf16: fp32 operators, with every tensor rounded in between.

ONNX Runtime's CPU has no kernels for bf16, and computes fp16 graphs in fp32 between casts that it may remove. So
neither shows the error that a GPU makes. A GPU multiplies in half precision, sums in fp32 and rounds the result; the
emulated graph does the same.
"""

import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from vavl_export.inferred import infer_types
from vavl_export.precision.half_conversion import ELEMENT_TYPES
from vavl_runtime.bundle.manifest import Precision

_UNROUNDED, _ROUNDED = ".unrounded", ".narrow"


def emulate(model: onnx.ModelProto, precision: Precision) -> onnx.ModelProto:
    """Rewrite a half-precision graph so that any machine computes what hardware for that precision computes.

    Args:
        model: A graph made by `convert_to_half`, with its weights inside; not changed.
        precision: Its precision.

    Returns:
        An fp32 graph with the same inputs, outputs and tensor names. Run it without graph optimisations, which may
        remove the rounding.
    """
    half = ELEMENT_TYPES[precision]
    emulated = onnx.ModelProto()
    emulated.CopyFrom(model)
    graph = emulated.graph
    rounded = {value.name for value in infer_types(model).value_info if value.type.tensor_type.elem_type == half}
    for tensor in graph.initializer:
        if tensor.data_type == half:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype("float32"), tensor.name))
    nodes: list[NodeProto] = []
    for node in graph.node:
        if node.op_type == "Cast" and node.attribute[0].i == half:
            nodes += _round(node.input[0], node.output[0], half)
            continue
        kept = NodeProto.FromString(node.SerializeToString())
        nodes.append(kept)
        for position, name in enumerate(node.output):
            if name in rounded:
                kept.output[position] = name + _UNROUNDED
                nodes += _round(name + _UNROUNDED, name, half)
    del graph.node[:]
    graph.node.extend(nodes)
    del graph.value_info[:]
    return emulated


def _round(source: str, target: str, half: int) -> list[NodeProto]:
    return [
        helper.make_node("Cast", [source], [target + _ROUNDED], to=half),
        helper.make_node("Cast", [target + _ROUNDED], [target], to=TensorProto.FLOAT),
    ]

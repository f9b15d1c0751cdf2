"""A stand-in for hardware that computes in fp16 or bf16: fp32 operators with every tensor rounded in between.

ONNX Runtime's CPU has no kernels for bf16, and runs fp16 graphs in fp32 between casts that it may remove, so neither
shows what a GPU shows. A GPU multiplies in half precision, sums in fp32 and rounds the result: that is what this does.
"""

import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper, shape_inference

from vavl_export.precision.half_conversion import ELEMENT_TYPES
from vavl_runtime.bundle.manifest import Precision

UNROUNDED = ".unrounded"


def emulate(model: onnx.ModelProto, precision: Precision) -> onnx.ModelProto:
    """Make a graph for any machine that computes what a graph in half precision computes on hardware for it.

    Args:
        model: A graph of `lower_precision`, weights inside; not changed.
        precision: Its precision.

    Returns:
        A graph in fp32 with the same inputs, outputs and tensor names. Run it without graph optimisations: they may
        take a rounding for superfluous.
    """
    low = ELEMENT_TYPES[precision]
    emulated = onnx.ModelProto()
    emulated.CopyFrom(model)
    graph = emulated.graph
    inferred = shape_inference.infer_shapes(model, strict_mode=True).graph.value_info
    rounded = {value.name for value in inferred if value.type.tensor_type.elem_type == low}
    for tensor in graph.initializer:
        if tensor.data_type == low:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype("float32"), tensor.name))
    nodes: list[NodeProto] = []
    for node in graph.node:
        if node.op_type == "Cast" and node.attribute[0].i == low:
            nodes += _round(node.input[0], node.output[0], low)
            continue
        kept = NodeProto.FromString(node.SerializeToString())
        nodes.append(kept)
        for position, name in enumerate(node.output):
            if name in rounded:
                kept.output[position] = name + UNROUNDED
                nodes += _round(name + UNROUNDED, name, low)
    del graph.node[:]
    graph.node.extend(nodes)
    del graph.value_info[:]
    return emulated


def _round(source: str, target: str, low: int) -> list[NodeProto]:
    narrow = target + ".narrow"
    return [
        helper.make_node("Cast", [source], [narrow], to=low),
        helper.make_node("Cast", [narrow], [target], to=TensorProto.FLOAT),
    ]

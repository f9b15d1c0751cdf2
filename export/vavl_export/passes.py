"""Graph passes: the same arithmetic, written the way that runtimes read it best."""

from collections import Counter

import numpy as np
import onnx
from onnx import NodeProto, helper, numpy_helper

ZERO = "prelu.zero"


def fold_transposed_weights(model: onnx.ModelProto) -> None:
    """Store weights the way MatMul reads them.

    The exporter folds the transpose of a weight that is used once and leaves it in the graph for one that is used
    twice, as the shared layers are; then the paths would not share those weights.
    """
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    folded: dict[tuple[str, tuple[int, ...]], str] = {}
    renamed: dict[str, str] = {}
    for node in list(model.graph.node):
        if node.op_type != "Transpose" or node.input[0] not in weights:
            continue
        axes = tuple(node.attribute[0].ints)
        key = (node.input[0], axes)
        if key not in folded:
            name = f"{node.input[0]}.transposed" + "".join(map(str, axes))
            array = np.ascontiguousarray(numpy_helper.to_array(weights[node.input[0]]).transpose(axes))
            model.graph.initializer.append(numpy_helper.from_array(array, name))
            folded[key] = name
        renamed[node.output[0]] = folded[key]
        model.graph.node.remove(node)
    for node in model.graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
    used = {name for node in model.graph.node for name in node.input}
    for name, tensor in weights.items():
        if name not in used:
            model.graph.initializer.remove(tensor)


def order_gelu(model: onnx.ModelProto) -> None:
    """Write GELU as (x · (1 + erf)) · ½ where the exporter wrote x · (½ · (1 + erf)).

    Only the first order is the pattern that ONNX Runtime fuses, together with the bias of the linear layer before it.
    """
    makers = {output: node for node in model.graph.node for output in node.output}
    readers = Counter(name for node in model.graph.node for name in node.input)
    for outer in model.graph.node:
        if outer.op_type != "Mul":
            continue
        for x, halved in (tuple(outer.input), tuple(outer.input)[::-1]):
            inner = makers.get(halved)
            if inner is None or inner.op_type != "Mul" or readers[halved] != 1:
                continue
            erf_plus_one = [name for name in inner.input if _is_erf_plus_one(makers, name)]
            half = [name for name in inner.input if name not in erf_plus_one]
            if len(erf_plus_one) == 1 and len(half) == 1 and half[0] not in makers:
                inner.input[:] = [x, erf_plus_one[0]]
                outer.input[:] = [inner.output[0], half[0]]
                break


def split_prelu(model: onnx.ModelProto) -> None:
    """Write PReLU as max(x, 0) + slope · min(x, 0), the same to the last bit.

    ONNX Runtime's CPU kernel for PReLU is not vectorised: the nets of MTCNN are about half as fast again without it.
    """
    nodes: list[NodeProto] = []
    for node in model.graph.node:
        if node.op_type != "PRelu":
            nodes.append(node)
            continue
        (x, slope), (y,) = node.input, node.output
        positive, negative, scaled = (f"{y}.{part}" for part in ("positive", "negative", "scaled"))
        nodes += [
            helper.make_node("Relu", [x], [positive]),
            helper.make_node("Min", [x, ZERO], [negative]),
            helper.make_node("Mul", [negative, slope], [scaled]),
            helper.make_node("Add", [positive, scaled], [y]),
        ]
    if len(nodes) > len(model.graph.node):
        model.graph.initializer.append(numpy_helper.from_array(np.float32(0.0), ZERO))
        del model.graph.node[:]
        model.graph.node.extend(nodes)


def _is_erf_plus_one(makers: dict[str, NodeProto], name: str) -> bool:
    node = makers.get(name)
    return (
        node is not None
        and node.op_type == "Add"
        and any(inner in makers and makers[inner].op_type == "Erf" for inner in node.input)
    )

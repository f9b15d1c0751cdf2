"""Graph passes: rewrite graphs so that they compute the same, and runtimes run them faster."""

from collections import Counter

import numpy as np
import onnx
from onnx import NodeProto, helper, numpy_helper

ZERO = "prelu.zero"


def fold_transposed_weights(model: onnx.ModelProto) -> None:
    """Store transposed weights in place of transposing them in the graph.

    The exporter folds the transpose of a weight that is used once, but not of one that is used twice. Weights of the
    shared layers are used once in the unimodal paths and twice in the audio-visual path: without this pass, the paths
    could not share them.
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

    ONNX Runtime fuses only the first form, together with the bias of the linear layer before it.
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
    """Write PReLU as x + (slope - 1) · min(x, 0), which is equal up to rounding.

    ONNX Runtime's CPU kernel for PReLU is not vectorised, the kernels of these three operators are. A PReLU that shares
    its slope with another one is left as it is.
    """
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    readers = Counter(name for node in model.graph.node for name in node.input)
    nodes: list[NodeProto] = []
    for node in model.graph.node:
        if node.op_type != "PRelu" or readers[node.input[1]] != 1:
            nodes.append(node)
            continue
        (x, slope), (y,) = node.input, node.output
        negative, change = f"{y}.negative", f"{y}.change"
        array = numpy_helper.to_array(weights[slope]) - np.float32(1.0)
        weights[slope].CopyFrom(numpy_helper.from_array(array, slope))
        nodes += [
            helper.make_node("Min", [x, ZERO], [negative]),
            helper.make_node("Mul", [negative, slope], [change]),
            helper.make_node("Add", [x, change], [y]),
        ]
    if len(nodes) > len(model.graph.node):
        model.graph.initializer.append(numpy_helper.from_array(np.float32(0.0), ZERO))
        del model.graph.node[:]
        model.graph.node.extend(nodes)


def sigmoid_of_two(model: onnx.ModelProto) -> None:
    """Write the second channel of a softmax over two channels as a sigmoid of their difference.

    The convolution before it computes the difference. ONNX Runtime's softmax over the channels of an image is not
    vectorised and transposes twice.
    """
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    makers = {output: node for node in model.graph.node for output in node.output}
    readers = Counter(name for node in model.graph.node for name in node.input)
    for gather in model.graph.node:
        softmax = makers.get(gather.input[0]) if gather.op_type == "Gather" else None
        convolution = makers.get(softmax.input[0]) if softmax is not None and softmax.op_type == "Softmax" else None
        if convolution is None or softmax is None or convolution.op_type != "Conv":
            continue
        axes = {attribute.name: attribute.i for node in (gather, softmax) for attribute in node.attribute}
        alone = readers[softmax.input[0]] == readers[softmax.output[0]] == 1
        chosen = weights.get(gather.input[1])
        second = chosen is not None and int(numpy_helper.to_array(chosen)) == 1
        if (
            axes != {"axis": 1}
            or not alone
            or not second
            or len(numpy_helper.to_array(weights[convolution.input[1]])) != 2
        ):
            continue
        if readers[gather.input[1]] == 1:
            model.graph.initializer.remove(chosen)
        for name in convolution.input[1:]:
            both = numpy_helper.to_array(weights[name])
            weights[name].CopyFrom(numpy_helper.from_array(np.ascontiguousarray(both[1:] - both[:1]), name))
        axis = f"{gather.output[0]}.axis"
        model.graph.initializer.append(numpy_helper.from_array(np.array([1], np.int64), axis))
        softmax.CopyFrom(helper.make_node("Sigmoid", [softmax.input[0]], [softmax.output[0]], name=softmax.name))
        gather.CopyFrom(helper.make_node("Squeeze", [softmax.output[0], axis], [gather.output[0]], name=gather.name))


def _is_erf_plus_one(makers: dict[str, NodeProto], name: str) -> bool:
    node = makers.get(name)
    return (
        node is not None
        and node.op_type == "Add"
        and any(inner in makers and makers[inner].op_type == "Erf" for inner in node.input)
    )

"""Lets norms, softmax and means of an fp16 graph read and write fp16: their kernels sum in fp32 without casts."""

from collections import defaultdict

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

_OPERATORS = ("LayerNormalization", "ReduceMean", "Softmax")


def narrow_norms(model: onnx.ModelProto) -> int:
    """Replace cast to fp32, norm (or softmax, or mean), cast to fp16 by the operator on fp16.

    Args:
        model: Changed in place; its weights inside.

    Returns:
        How many operators were changed.
    """
    _cast_before_transposing(model)
    makers = {name: node for node in model.graph.node for name in node.output}
    readers = _readers(model)
    results = {value.name for value in model.graph.output}
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    changed = [
        node
        for node in model.graph.node
        if node.op_type in _OPERATORS
        and _casts_to(makers.get(node.input[0]), TensorProto.FLOAT)
        and any(_casts_to(reader, TensorProto.FLOAT16) for reader in readers[node.output[0]])
        and all(name in weights for name in node.input[1:])
        and len(node.output) == 1
        and node.output[0] not in results
    ]
    nodes = []
    narrow = {node.output[0] for node in changed}
    for node in model.graph.node:
        if _casts_to(node, TensorProto.FLOAT16) and node.input[0] in narrow:
            nodes.append(helper.make_node("Identity", [_half(node.input[0])], list(node.output)))
            continue
        nodes.append(node)
        if node.output[0] not in narrow:
            continue
        wide = node.output[0]
        node.input[0] = makers[node.input[0]].input[0]
        for position, name in enumerate(node.input[1:], 1):
            if weights[name].data_type == TensorProto.FLOAT:  # not the axes of a mean
                node.input[position] = _narrowed(model, weights, name)
        node.output[0] = _half(wide)
        if any(not _casts_to(reader, TensorProto.FLOAT16) for reader in readers[wide]):
            nodes.append(helper.make_node("Cast", [_half(wide)], [wide], to=TensorProto.FLOAT))
    used = {name for node in nodes for name in node.input} | results
    kept = [node for node in nodes if not used.isdisjoint(node.output)]
    del model.graph.node[:]
    model.graph.node.extend(kept)
    return len(changed)


def _cast_before_transposing(model: onnx.ModelProto) -> None:
    """Transpose what is narrow already; then the cast stands behind the norm that made it."""
    readers = _readers(model)
    results = {value.name for value in model.graph.output}
    nodes: list[NodeProto] = []
    dropped: set[str] = set()
    for node in model.graph.node:
        later = readers[node.output[0]]
        narrowed = bool(later) and all(_casts_to(reader, TensorProto.FLOAT16) for reader in later)
        if node.op_type == "Transpose" and narrowed and node.output[0] not in results:
            before = f"{node.output[0]}.before"
            nodes.append(helper.make_node("Cast", [node.input[0]], [before], to=TensorProto.FLOAT16))
            for reader in later:
                moved = NodeProto.FromString(node.SerializeToString())
                moved.input[0], moved.output[0] = before, reader.output[0]
                nodes.append(moved)
                dropped.add(reader.output[0])
        elif node.output[0] not in dropped:
            nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _readers(model: onnx.ModelProto) -> dict[str, list[NodeProto]]:
    readers: dict[str, list[NodeProto]] = defaultdict(list)
    for node in model.graph.node:
        for name in node.input:
            readers[name].append(node)
    return readers


def _half(name: str) -> str:
    return f"{name}.narrow"


def _casts_to(node: NodeProto | None, element_type: int) -> bool:
    return node is not None and node.op_type == "Cast" and node.attribute[0].i == element_type


def _narrowed(model: onnx.ModelProto, weights: dict[str, TensorProto], name: str) -> str:
    if _half(name) not in weights:
        array = numpy_helper.to_array(weights[name]).astype(np.float16)
        weights[_half(name)] = numpy_helper.from_array(array, _half(name))
        model.graph.initializer.append(weights[_half(name)])
    return _half(name)

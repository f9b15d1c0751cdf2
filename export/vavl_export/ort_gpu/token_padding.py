"""Pads feature sequences inside a graph to a multiple of 8 tokens, which memory-efficient attention asks for.

Results do not change: every graph of a bundle gives the same for a clip however long its padding is.
"""

import numpy as np
from onnx import helper

from vavl_export.ort_gpu.graph_view import GraphView, attribute

TOKEN_MULTIPLE = 8  # rows of a half-precision attention bias are then aligned to 16 bytes


def pad_tokens(view: GraphView) -> None:
    """Pad each input ``*_features`` of a path graph as soon as it comes in.

    Args:
        view: The graph.
    """
    for value in view.graph.input:
        if not value.name.endswith("_features"):
            continue
        name = value.name
        padded = f"{name}.padded"
        # Frames that are averaged before the first attention: there the tokens are fewer.
        pools = [attribute(node, "kernel_shape") for node in view.graph.node if node.op_type == "AveragePool"]
        pool = int(np.max(pools)) if pools else 1
        readers = [node for node in view.graph.node if name in node.input]
        for node in readers:
            node.input[:] = [padded if item == name else item for item in node.input]
        multiple = view.add_constant("padding.multiple", np.array([TOKEN_MULTIPLE * pool], np.int64))
        most = view.add_constant("padding.most", np.array([TOKEN_MULTIPLE * pool - 1], np.int64))
        before = view.add_constant("padding.before", np.zeros(4, np.int64))
        behind = view.add_constant("padding.behind", np.zeros(1, np.int64))
        view.insert_before(
            readers[0],
            [
                helper.make_node("Shape", [name], [f"{padded}.tokens"], start=1, end=2),
                helper.make_node("Add", [f"{padded}.tokens", most], [f"{padded}.rounded"]),
                helper.make_node("Div", [f"{padded}.rounded", multiple], [f"{padded}.groups"]),
                helper.make_node("Mul", [f"{padded}.groups", multiple], [f"{padded}.wanted"]),
                helper.make_node("Sub", [f"{padded}.wanted", f"{padded}.tokens"], [f"{padded}.missing"]),
                # How much to add before the axes B, T and F, then behind them.
                helper.make_node("Concat", [before, f"{padded}.missing", behind], [f"{padded}.pads"], axis=0),
                helper.make_node("Pad", [name, f"{padded}.pads"], [padded]),
            ],
        )

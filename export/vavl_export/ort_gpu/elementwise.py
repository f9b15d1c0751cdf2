"""Joins bias, residual, norm and activation where ONNX Runtime has one operator for them.

ONNX Runtime's own optimiser joins some of these, by rules that differ between versions and precisions. Here the graph
says what runs.
"""

import numpy as np
import onnx
from onnx import helper

from vavl_export.ort_gpu.graph_view import GraphView, NoMatchError, attribute


def scale_in_product(model: onnx.ModelProto) -> None:
    """Write ``(x @ weight + bias) * scale`` as a product with a factor and a scaled bias."""
    view = GraphView(model)
    for node in view.graph.node:
        if node.op_type != "Mul":
            continue
        try:
            added, scale = view.with_constant(node)
            result, bias = view.with_constant(view.expect(added, "Add"))
            product = view.expect(result, "MatMul")
            view.only_reader(result, "Add")
            view.only_reader(added, "Mul")
        except NoMatchError:
            continue
        if scale.size != 1 or bias.ndim != 1:
            continue
        (y,), factor = node.output, float(scale.reshape(()))
        scaled = view.add_constant(f"{y}.bias", (bias * factor).astype(bias.dtype))
        element_type = view.element_type(result)
        fused = view.microsoft("FusedMatMul", product.input, [f"{y}.product"], element_type, alpha=factor)
        view.replace(node, [fused, helper.make_node("Add", [f"{y}.product", scaled], [y])])
    view.commit()


def join_norms(model: onnx.ModelProto) -> None:
    """Join a residual, the bias before it and the norm behind it: ``SkipLayerNormalization``."""
    view = GraphView(model)
    joined: set[str] = set()
    for norm in view.graph.node:
        if norm.op_type != "LayerNormalization":
            continue
        residual = view.maker(norm.input[0])
        if residual is None or residual.op_type != "Add" or any(name in view.constants for name in residual.input):
            continue
        (total,), inputs = residual.output, [*residual.input, *norm.input[1:]]
        if total in joined:  # by another norm of the same sum
            continue
        joined.add(total)
        for branch, skip in (residual.input, reversed(residual.input)):
            biased = _biased(view, branch)
            if biased is not None and len(view.readers(branch)) == 1:
                x, bias = biased
                inputs = [x, skip, *norm.input[1:], bias]
                break
        outputs = [norm.output[0]]
        if len(view.readers(total)) > 1 or view.is_output(total):
            outputs += ["", "", total]
        fused = view.microsoft(
            "SkipLayerNormalization",
            inputs,
            outputs,
            view.element_type(total),
            epsilon=attribute(norm, "epsilon"),
        )
        view.replace(residual, [fused])  # where everything that reads the sum comes later
        view.replace(norm, [])
    view.commit()


def join_gelu(model: onnx.ModelProto) -> None:
    """Join GELU, with the bias of a linear layer before it where there is one: ``BiasGelu`` and ``Gelu``."""
    view = GraphView(model)
    for erf in view.graph.node:
        if erf.op_type != "Erf":
            continue
        try:
            x, root = view.with_constant(view.expect(erf.input[0], "Div"))
            plus_one = view.only_reader(erf.output[0], "Add")
            product = view.only_reader(plus_one.output[0], "Mul")
            half = view.only_reader(product.output[0], "Mul")
        except NoMatchError:
            continue
        if x not in product.input or not np.isclose(float(root), np.sqrt(2.0), rtol=1e-3):
            continue
        biased = _biased(view, x)
        operator, inputs = ("Gelu", [x]) if biased is None else ("BiasGelu", list(biased))
        view.replace(half, [view.microsoft(operator, inputs, half.output, view.element_type(x))])
    view.commit()


def join_silu(model: onnx.ModelProto) -> None:
    """Join ``x * sigmoid(x)``: ``QuickGelu`` with a factor of 1."""
    view = GraphView(model)
    for node in view.graph.node:
        if node.op_type != "Mul":
            continue
        for x, gate in (list(node.input), list(node.input)[::-1]):
            sigmoid = view.maker(gate)
            if sigmoid is not None and sigmoid.op_type == "Sigmoid" and sigmoid.input[0] == x:
                element_type = view.element_type(x)
                view.replace(node, [view.microsoft("QuickGelu", [x], node.output, element_type, alpha=1.0)])
                break
    view.commit()


def transpose_in_product(model: onnx.ModelProto) -> None:
    """Let a product read its tokens transposed, where a transpose and an activation stand before it."""
    view = GraphView(model)
    for product in view.graph.node:
        activation = view.maker(product.input[0]) if product.op_type == "MatMul" else None
        if activation is None or activation.op_type != "QuickGelu" or len(view.readers(activation.output[0])) != 1:
            continue
        transpose = view.maker(activation.input[0])
        if (
            transpose is None
            or transpose.op_type != "Transpose"
            or len(view.readers(transpose.output[0])) != 1
            or attribute(transpose, "perm") != [0, 2, 1]
        ):
            continue
        (x,), (y,) = transpose.input, activation.output
        element_type = view.element_type(x)
        early = view.microsoft("QuickGelu", [x], [f"{y}.early"], element_type, alpha=1.0)
        fused = view.microsoft("FusedMatMul", [f"{y}.early", product.input[1]], product.output, element_type, transA=1)
        view.replace(product, [early, fused])
    view.commit()


def _biased(view: GraphView, name: str) -> tuple[str, str] | None:
    """The tensor and the bias that a tensor is the sum of; None if it is another sum, or none."""
    added = view.maker(name)
    if added is None or added.op_type != "Add":
        return None
    x, bias = added.input if added.input[1] in view.constants else reversed(added.input)
    return (x, bias) if bias in view.constants and view.is_vector(bias) else None

"""Cuts a graph at the points where what depends on one input meets what depends on another."""

from collections.abc import Iterable, Mapping

import numpy as np
import onnx
from onnx import NodeProto, helper, numpy_helper, shape_inference

from vavl_export.errors import ExportError


def fix_dimension(model: onnx.ModelProto, name: str, size: int) -> None:
    """Give a named dimension of the inputs a size, and turn into constants what asks for known sizes.

    A graph that reads the number of clips off one input to shape another would tie the two together.

    Args:
        model: Changed in place.
        name: Of the dimension.
        size: Its size.
    """
    for value in model.graph.input:
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param == name:
                dim.dim_value = size
    while _fold_known_shapes(model):
        pass


def _fold_known_shapes(model: onnx.ModelProto) -> bool:
    """Fold what can be folded now; it may tell shape inference more."""
    shapes = {value.name: value.type.tensor_type.shape.dim for value in _values(model)}
    folded = []
    for node in model.graph.node:
        if node.op_type != "Shape" or node.input[0] not in shapes:
            continue
        ends = {attribute.name: attribute.i for attribute in node.attribute}
        dims = list(shapes[node.input[0]])[ends.get("start", 0) : ends.get("end")]
        if all(dim.HasField("dim_value") for dim in dims):
            sizes = np.array([dim.dim_value for dim in dims], np.int64)
            model.graph.initializer.append(numpy_helper.from_array(sizes, node.output[0]))
            folded.append(node)
    for node in folded:
        model.graph.node.remove(node)
    return bool(folded)


def split_by_inputs(model: onnx.ModelProto, groups: Mapping[str, Iterable[str]]) -> dict[str, onnx.ModelProto]:
    """Split a graph.

    Args:
        model: A graph without control flow, its nodes in order, its weights inside.
        groups: Names of the parts, each with the inputs that it alone may read.

    Returns:
        A graph for each group, which computes all that depends on no other group's inputs, and ``rest``, which takes
        their outputs to the outputs of the whole. Tensors keep their names.

    Raises:
        ExportError: An input is in no group.
    """
    belongs = {name: frozenset((group,)) for group, names in groups.items() for name in names}
    if strange := sorted(value.name for value in model.graph.input if value.name not in belongs):
        raise ExportError(f"{model.graph.name}: inputs {', '.join(strange)} are in no group")
    parts: dict[str, list[NodeProto]] = {group: [] for group in (*groups, "rest")}
    for node in model.graph.node:
        owners = frozenset().union(*(belongs.get(name, frozenset()) for name in node.input))
        belongs.update(dict.fromkeys(node.output, owners))
        for part in owners if len(owners) == 1 else ("rest",) if owners else parts:
            parts[part].append(node)  # what depends on no input is cheap, and every part may need it
    values = {value.name: value for value in _values(model)}
    results = {value.name for value in model.graph.output}
    needed_later = {name for node in parts["rest"] for name in node.input} | results
    split = {}
    for part, nodes in parts.items():
        made = [name for node in nodes for name in node.output]
        here = set(made)
        if part == "rest":
            inputs = [name for name, owners in belongs.items() if len(owners) == 1 and name in needed_later]
            outputs = [value.name for value in model.graph.output]
        else:
            inputs = list(groups[part])
            outputs = [name for name in made if belongs[name] == frozenset((part,)) and name in needed_later]
        inputs = [name for name in inputs if name not in here]
        split[part] = _make(model, part, nodes, [values[name] for name in inputs], [values[name] for name in outputs])
    return split


def _values(model: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    graph = shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
    return [*graph.value_info, *graph.input, *graph.output]


def _make(
    model: onnx.ModelProto,
    name: str,
    nodes: list[NodeProto],
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
) -> onnx.ModelProto:
    needed = {value.name for value in outputs}
    kept = []
    for node in reversed(nodes):
        if not needed.isdisjoint(node.output):
            kept.append(node)
            needed.update(node.input)
    weights = [tensor for tensor in model.graph.initializer if tensor.name in needed]
    graph = helper.make_graph(kept[::-1], f"{model.graph.name}_{name}", inputs, outputs, weights)
    return helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)

"""fp16 and bf16: the fp32 graph with its products, and what lies between them, in the lower precision.

Casts stand inside, so inputs and outputs keep their names, shapes and types. What stays fp32: norms, softmax, every sum
over time, exponentials and logarithms; the graph's inputs up to its first product, and the heads behind its last norm,
which multiply one row a clip, so cost little and would round what the rest depends on; constants that the precision
cannot hold (an epsilon of 1e-12); and islands: tensors that would overflow, with every operator that makes or reads
them.
"""

from collections.abc import Collection, Iterable

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper, shape_inference
from onnx.defs import get_schema

from vavl_runtime.bundle.manifest import Precision

ELEMENT_TYPES: dict[str, int] = {"fp16": TensorProto.FLOAT16, "bf16": TensorProto.BFLOAT16}
# The smallest normal and the largest finite value.
LIMITS = {TensorProto.FLOAT16: (2.0**-14, 65504.0), TensorProto.BFLOAT16: (2.0**-126, (2.0 - 2.0**-7) * 2.0**127)}

PRODUCTS = frozenset({"Conv", "Gemm", "MatMul"})
# Value by value, or a choice among values. They follow a product: what was never lowered is not lowered for them.
ELEMENTWISE = frozenset(
    {"Abs", "Add", "Clip", "Div", "Erf", "HardSigmoid", "HardSwish", "LeakyRelu", "Max", "MaxPool", "Min", "Mul", "Neg"}
    | {"PRelu", "Relu", "Sigmoid", "Sub", "Tanh", "Where"}
)
# They move values and follow the precision in which they find them.
MOVES = frozenset(
    {"Concat", "Expand", "Flatten", "Gather", "Identity", "Pad", "Reshape", "Slice", "Split", "Squeeze", "Tile"}
    | {"Transpose", "Unsqueeze"}
)


def largest_value(precision: Precision) -> float:
    """The largest finite value of ``fp16`` or ``bf16``."""
    return LIMITS[ELEMENT_TYPES[precision]][1]


def lower_precision(model: onnx.ModelProto, precision: Precision, islands: Iterable[str] = ()) -> onnx.ModelProto:
    """Convert a graph.

    Args:
        model: An fp32 graph with its weights inside; not changed.
        precision: ``fp16`` or ``bf16``.
        islands: Tensors that must stay fp32, with every operator that makes or reads them.

    Returns:
        The graph in the lower precision. Tensors keep their names, whatever their type is now.
    """
    lowered = onnx.ModelProto()
    lowered.CopyFrom(model)
    types = float_tensors(model)
    islands = frozenset(islands)
    chosen = choose_low(lowered, precision, types, islands)
    _Casting(lowered, ELEMENT_TYPES[precision], types, islands).apply(chosen)
    return lowered


def float_tensors(model: onnx.ModelProto) -> set[str]:
    """Names of all fp32 tensors of a graph, weights included."""
    inferred = shape_inference.infer_shapes(model, strict_mode=True).graph
    values = (*inferred.value_info, *inferred.input, *inferred.output)
    names = {value.name for value in values if value.type.tensor_type.elem_type == TensorProto.FLOAT}
    return names | {tensor.name for tensor in model.graph.initializer if tensor.data_type == TensorProto.FLOAT}


def choose_low(model: onnx.ModelProto, precision: Precision, types: set[str], islands: frozenset[str]) -> set[str]:
    """Choose the operators that run in the lower precision.

    Args:
        model: The fp32 graph.
        precision: ``fp16`` or ``bf16``.
        types: Its fp32 tensors.
        islands: Tensors that must stay fp32.

    Returns:
        The first output of each of them, which names an operator.
    """
    element_type = ELEMENT_TYPES[precision]
    opset = model.opset_import[0].version
    weights = {tensor.name: tensor for tensor in model.graph.initializer if tensor.name in types}
    unfit = {name for name, tensor in weights.items() if not _holds(numpy_helper.to_array(tensor), element_type)}
    live, behind, prefetch = _live(model), _behind_products(model), _ahead_of(model, PRODUCTS)
    normed = _ahead_of(model, {"LayerNormalization"})
    chosen: set[str] = set()
    low_tensors = {name for name in weights if name not in unfit}
    for node in model.graph.node:
        floats = [name for name in (*node.input, *node.output) if name in types]
        fits = bool(floats) and islands.isdisjoint(floats) and unfit.isdisjoint(floats)
        if not fits or not _supports(node.op_type, element_type, opset):
            continue
        found = {name for name in node.input if name in types}
        if node.op_type in MOVES:
            takes = bool(found) and low_tensors.issuperset(found)
        elif node.op_type in ELEMENTWISE:
            between = node.output[0] in behind and node.output[0] in prefetch
            takes = between and not low_tensors.isdisjoint(found - weights.keys())
        else:
            first = node.input[0] in live and node.input[0] not in behind
            head = node.output[0] not in normed if normed else node.op_type == "Gemm" and node.output[0] not in prefetch
            takes = node.op_type in PRODUCTS and not first and not head
        if takes:
            chosen.add(node.output[0])
            low_tensors.update(name for name in node.output if name in types)
    return chosen


class _Casting:
    """Rewrites a graph in place, with one cast for each tensor that is needed in both precisions."""

    def __init__(self, model: onnx.ModelProto, low: int, types: set[str], islands: frozenset[str]) -> None:
        self._graph = model.graph
        self._low = low
        self._types = types
        self._islands = islands
        self._suffix = ".fp16" if low == TensorProto.FLOAT16 else ".bf16"
        self._weights = {tensor.name: tensor for tensor in model.graph.initializer if tensor.name in types}
        self._type_of: dict[str, int] = dict.fromkeys(types, TensorProto.FLOAT)
        self._casts: dict[tuple[str, int], str] = {}
        self._nodes: list[NodeProto] = []

    def apply(self, chosen: set[str]) -> None:
        outputs = {value.name for value in self._graph.output}
        for node in self._graph.node:
            low = node.output[0] in chosen
            # The weights of an island are stored like those of its twin in another path, which may be none.
            stored_low = node.op_type in PRODUCTS and not self._islands.isdisjoint((*node.input, *node.output))
            for position, name in enumerate(node.input):
                if name not in self._types:
                    continue
                if name in self._weights and stored_low:
                    name = self._narrowed(name)
                node.input[position] = self._in_type(name, self._low if low else TensorProto.FLOAT)
            self._nodes.append(node)
            for position, name in enumerate(node.output):
                if not low or name not in self._types:
                    continue
                if name in outputs:  # an output keeps name and type
                    node.output[position] = name + self._suffix
                    self._nodes.append(helper.make_node("Cast", [name + self._suffix], [name], to=TensorProto.FLOAT))
                    self._casts[name, self._low] = name + self._suffix
                else:
                    self._type_of[name] = self._low
        del self._graph.node[:]
        self._graph.node.extend(self._nodes)
        del self._graph.value_info[:]
        used = {name for node in self._nodes for name in node.input}
        kept = [tensor for tensor in self._graph.initializer if tensor.name in used]
        del self._graph.initializer[:]
        self._graph.initializer.extend(kept)

    def _in_type(self, name: str, wanted: int) -> str:
        if self._type_of[name] == wanted:
            return name
        if name in self._weights and wanted == self._low:
            return self._narrowed(name)
        if (name, wanted) not in self._casts:
            cast = f"{name}.{TensorProto.DataType.Name(wanted).lower()}"
            self._nodes.append(helper.make_node("Cast", [name], [cast], name=f"node_{cast}", to=wanted))
            self._casts[name, wanted] = cast
        return self._casts[name, wanted]

    def _narrowed(self, name: str) -> str:
        narrow = name + self._suffix
        if narrow in self._type_of:
            return narrow
        array = numpy_helper.to_array(self._weights[name])
        if not (np.abs(array) <= LIMITS[self._low][1]).all():
            return name
        low = array.astype(helper.tensor_dtype_to_np_dtype(self._low))
        self._graph.initializer.append(numpy_helper.from_array(low, narrow))
        self._type_of[narrow] = self._low
        return narrow


def _live(model: onnx.ModelProto) -> set[str]:
    """Tensors whose values, and not only whose shapes, depend on the graph's inputs."""
    live = {value.name for value in model.graph.input}
    for node in model.graph.node:
        if node.op_type != "Shape" and not live.isdisjoint(node.input):
            live.update(node.output)
    return live


def _behind_products(model: onnx.ModelProto) -> set[str]:
    """Tensors that some product's result flows into, and those results."""
    behind: set[str] = set()
    for node in model.graph.node:
        if node.op_type in PRODUCTS or not behind.isdisjoint(node.input):
            behind.update(node.output)
    return behind


def _ahead_of(model: onnx.ModelProto, operators: Collection[str]) -> set[str]:
    """Tensors that flow into some operator of these types."""
    prefetch: set[str] = set()
    for node in reversed(model.graph.node):
        if node.op_type in operators or not prefetch.isdisjoint(node.output):
            prefetch.update(node.input)
    return prefetch


def _supports(operator: str, element_type: int, opset: int) -> bool:
    """Whether the opset defines an operator for an element type: that of bf16 convolutions came after ours."""
    wanted = f"tensor({TensorProto.DataType.Name(element_type).lower()})"
    constraints = get_schema(operator, opset).type_constraints
    return any(wanted in constraint.allowed_type_strs for constraint in constraints)


def _holds(array: "NDArray[np.float32]", element_type: int) -> bool:
    smallest, largest = LIMITS[element_type]
    size = np.abs(array)
    # A weight that vanishes among others is rounding; a constant that vanishes no longer guards what it guarded.
    vanishes = array.size == 1 and bool((size > 0).any() and (size < smallest).any())
    return bool((size <= largest).all()) and not vanishes

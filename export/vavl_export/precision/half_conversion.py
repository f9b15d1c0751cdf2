"""Converts an fp32 graph to fp16 or bf16: products, and the arithmetic between them, run in half precision.

Casts stand inside the graph, so inputs and outputs keep their names, shapes and types. These parts stay fp32:

- norms, softmax, sums over time, exponentials and logarithms;
- the graph's inputs up to their first product;
- the heads behind the last norm. They multiply one row per clip, so they cost little;
- constants that the precision cannot represent, such as an epsilon of 1e-12;
- tensors that the caller names because they would overflow, with every operator that reads or writes them.
"""

from collections.abc import Collection, Iterable

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper
from onnx.defs import get_schema

from vavl_export.inferred import infer_types
from vavl_runtime.bundle.manifest import Precision

ELEMENT_TYPES: dict[str, int] = {"fp16": TensorProto.FLOAT16, "bf16": TensorProto.BFLOAT16}
# The smallest normal and the largest finite value.
LIMITS = {TensorProto.FLOAT16: (2.0**-14, 65504.0), TensorProto.BFLOAT16: (2.0**-126, (2.0 - 2.0**-7) * 2.0**127)}

PRODUCTS = frozenset({"Conv", "Gemm", "MatMul"})
# These compute value by value, or choose among values. They run in half precision only if their input already is.
ELEMENTWISE = frozenset(
    {"Abs", "Add", "Clip", "Div", "Erf", "HardSigmoid", "HardSwish", "LeakyRelu", "Max", "MaxPool", "Min", "Mul", "Neg"}
    | {"PRelu", "Relu", "Sigmoid", "Sub", "Tanh", "Where"}
)
# These sum in fp32 whatever they read: ONNX Runtime's CUDA kernels do (norms that are joined with a residual because
# the runtime asks for it), TensorRT's need not.
MEANS = frozenset({"LayerNormalization", "ReduceMean"})
# These move values without computing and keep the precision of their inputs.
MOVES = frozenset(
    {"Concat", "Expand", "Flatten", "Gather", "Identity", "Pad", "Reshape", "Slice", "Split", "Squeeze", "Tile"}
    | {"Transpose", "Unsqueeze"}
)


def largest_value(precision: Precision) -> float:
    """The largest finite value of ``fp16`` or ``bf16``."""
    return LIMITS[ELEMENT_TYPES[precision]][1]


def convert_to_half(
    model: onnx.ModelProto, precision: Precision, keep_fp32: Iterable[str] = (), *, half_means: bool = False
) -> onnx.ModelProto:
    """Convert a graph to half precision.

    Args:
        model: An fp32 graph with its weights inside; not changed.
        precision: ``fp16`` or ``bf16``.
        keep_fp32: Tensors that must stay fp32, with every operator that reads or writes them.
        half_means: Let norms and means read and write half precision; see `MEANS`.

    Returns:
        The converted graph. Tensors keep their names, whatever their type is now.
    """
    converted = onnx.ModelProto()
    converted.CopyFrom(model)
    floats = float_tensors(model)
    kept = frozenset(keep_fp32)
    chosen = choose_half_operators(converted, precision, floats, kept, half_means=half_means)
    _Casting(converted, ELEMENT_TYPES[precision], floats, kept).apply(chosen)
    return converted


def float_tensors(model: onnx.ModelProto) -> set[str]:
    """Names of all fp32 tensors of a graph, weights included."""
    inferred = infer_types(model)
    values = (*inferred.value_info, *inferred.input, *inferred.output)
    names = {value.name for value in values if value.type.tensor_type.elem_type == TensorProto.FLOAT}
    return names | {tensor.name for tensor in model.graph.initializer if tensor.data_type == TensorProto.FLOAT}


def choose_half_operators(
    model: onnx.ModelProto,
    precision: Precision,
    floats: set[str],
    keep_fp32: frozenset[str],
    *,
    half_means: bool = False,
) -> set[str]:
    """Choose the operators that run in half precision.

    Args:
        model: The fp32 graph.
        precision: ``fp16`` or ``bf16``.
        floats: Names of its fp32 tensors.
        keep_fp32: Tensors that must stay fp32.
        half_means: Let norms and means read and write half precision.

    Returns:
        The first output of each chosen operator, which identifies the operator.
    """
    element_type = ELEMENT_TYPES[precision]
    opset = model.opset_import[0].version
    weights = {tensor.name: tensor for tensor in model.graph.initializer if tensor.name in floats}
    excluded = keep_fp32 | {
        name for name, tensor in weights.items() if not _represents(element_type, numpy_helper.to_array(tensor))
    }
    region = _HalfRegion(model)
    chosen: set[str] = set()
    half_tensors = weights.keys() - excluded
    for node in model.graph.node:
        touched = [name for name in (*node.input, *node.output) if name in floats]
        if not touched or not excluded.isdisjoint(touched) or not _supports(node.op_type, element_type, opset):
            continue
        inputs = {name for name in node.input if name in floats}
        if node.op_type in MOVES:
            fits = bool(inputs) and half_tensors.issuperset(inputs)
        elif node.op_type in ELEMENTWISE or (half_means and node.op_type in MEANS and not region.is_head(node)):
            fits = region.between_products(node) and not half_tensors.isdisjoint(inputs - weights.keys())
        else:
            fits = node.op_type in PRODUCTS and not region.is_first_product(node) and not region.is_head(node)
        if fits:
            chosen.add(node.output[0])
            half_tensors |= {name for name in node.output if name in floats}
    return chosen


class _HalfRegion:
    """Where in a graph half precision is allowed: behind the first products and before the heads."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._data_dependent = _data_dependent(model)
        self._after_product = _after_products(model)
        self._before_product = _before(model, PRODUCTS)
        self._before_norm = _before(model, {"LayerNormalization"})

    def between_products(self, node: NodeProto) -> bool:
        """Whether an operator has a product before it and another one behind it."""
        return node.output[0] in self._after_product and node.output[0] in self._before_product

    def is_first_product(self, node: NodeProto) -> bool:
        """Whether a product is the first one that an input of the graph meets."""
        return node.input[0] in self._data_dependent and node.input[0] not in self._after_product

    def is_head(self, node: NodeProto) -> bool:
        """Whether an operator is the last norm or behind it; in a graph without norms, whether it is the last Gemm."""
        if self._before_norm:
            return node.output[0] not in self._before_norm
        return node.op_type == "Gemm" and node.output[0] not in self._before_product


class _Casting:
    """Rewrites a graph in place, with one cast for each tensor that is needed in both precisions."""

    def __init__(self, model: onnx.ModelProto, half: int, floats: set[str], keep_fp32: frozenset[str]) -> None:
        self._graph = model.graph
        self._half = half
        self._floats = floats
        self._keep_fp32 = keep_fp32
        self._suffix = ".fp16" if half == TensorProto.FLOAT16 else ".bf16"
        self._weights = {tensor.name: tensor for tensor in model.graph.initializer if tensor.name in floats}
        self._type_of: dict[str, int] = dict.fromkeys(floats, TensorProto.FLOAT)
        self._casts: dict[tuple[str, int], str] = {}
        self._nodes: list[NodeProto] = []

    def apply(self, chosen: set[str]) -> None:
        """Run the chosen operators in half precision; they are named by their first output."""
        for node in self._graph.node:
            in_half = node.output[0] in chosen
            self._read(node, in_half)
            self._nodes.append(node)
            if in_half:
                self._write(node)
        del self._graph.node[:]
        self._graph.node.extend(self._nodes)
        del self._graph.value_info[:]
        used = {name for node in self._nodes for name in node.input}
        kept = [tensor for tensor in self._graph.initializer if tensor.name in used]
        del self._graph.initializer[:]
        self._graph.initializer.extend(kept)

    def _read(self, node: NodeProto, in_half: bool) -> None:
        """Give an operator its inputs in the precision in which it runs."""
        # Another path may run the same weights in half precision; stored so here too, they are shared.
        store_half = node.op_type in PRODUCTS and not self._keep_fp32.isdisjoint((*node.input, *node.output))
        for position, name in enumerate(node.input):
            if name not in self._floats:
                continue
            if name in self._weights and store_half:
                name = self._half_weight(name)
            node.input[position] = self._in_type(name, self._half if in_half else TensorProto.FLOAT)

    def _write(self, node: NodeProto) -> None:
        """Note that outputs are in half precision now; outputs of the graph keep name and type."""
        outputs = {value.name for value in self._graph.output}
        for position, name in enumerate(node.output):
            if name not in self._floats:
                continue
            if name in outputs:
                node.output[position] = name + self._suffix
                self._nodes.append(helper.make_node("Cast", [name + self._suffix], [name], to=TensorProto.FLOAT))
                self._casts[name, self._half] = name + self._suffix
            else:
                self._type_of[name] = self._half

    def _in_type(self, name: str, wanted: int) -> str:
        if self._type_of[name] == wanted:
            return name
        if name in self._weights and wanted == self._half:
            return self._half_weight(name)
        if (name, wanted) not in self._casts:
            cast = f"{name}.{TensorProto.DataType.Name(wanted).lower()}"
            self._nodes.append(helper.make_node("Cast", [name], [cast], name=f"node_{cast}", to=wanted))
            self._casts[name, wanted] = cast
        return self._casts[name, wanted]

    def _half_weight(self, name: str) -> str:
        stored = name + self._suffix
        if stored in self._type_of:
            return stored
        array = numpy_helper.to_array(self._weights[name])
        if not (np.abs(array) <= LIMITS[self._half][1]).all():
            return name
        half = array.astype(helper.tensor_dtype_to_np_dtype(self._half))
        self._graph.initializer.append(numpy_helper.from_array(half, stored))
        self._type_of[stored] = self._half
        return stored


def _data_dependent(model: onnx.ModelProto) -> set[str]:
    """Tensors whose values, and not only whose shapes, depend on the graph's inputs."""
    dependent = {value.name for value in model.graph.input}
    for node in model.graph.node:
        if node.op_type != "Shape" and not dependent.isdisjoint(node.input):
            dependent.update(node.output)
    return dependent


def _after_products(model: onnx.ModelProto) -> set[str]:
    """Results of products, and tensors computed from them."""
    after: set[str] = set()
    for node in model.graph.node:
        if node.op_type in PRODUCTS or not after.isdisjoint(node.input):
            after.update(node.output)
    return after


def _before(model: onnx.ModelProto, operators: Collection[str]) -> set[str]:
    """Tensors that flow into an operator of one of these types."""
    before: set[str] = set()
    for node in reversed(model.graph.node):
        if node.op_type in operators or not before.isdisjoint(node.output):
            before.update(node.input)
    return before


def _supports(operator: str, element_type: int, opset: int) -> bool:
    """Whether the opset defines an operator for an element type; convolutions in bf16 came after ours."""
    wanted = f"tensor({TensorProto.DataType.Name(element_type).lower()})"
    constraints = get_schema(operator, opset).type_constraints
    return any(wanted in constraint.allowed_type_strs for constraint in constraints)


def _represents(element_type: int, array: "NDArray[np.float32]") -> bool:
    """Whether an element type can hold the values of a weight or constant."""
    smallest, largest = LIMITS[element_type]
    size = np.abs(array)
    # One small weight among many is only rounded. A constant that becomes 0 no longer protects what it guarded.
    vanishes = array.size == 1 and bool((size > 0).any() and (size < smallest).any())
    return bool((size <= largest).all()) and not vanishes

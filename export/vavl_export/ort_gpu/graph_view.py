"""Finds operators around a tensor, and replaces them: what all passes for ONNX Runtime on GPUs share."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from vavl_export.graph_lint import MICROSOFT


class NoMatchError(Exception):
    """Operators do not have the form that a pass looks for; the message says where and what came."""


class GraphView:
    """A graph, indexed by tensor. It stays as it is until `commit`.

    Args:
        model: The graph.
        through_casts: Look through casts in both directions. A pass then finds the same form in an fp32 graph and in
            its half-precision twin, which has casts between operators of different precision.
    """

    def __init__(self, model: onnx.ModelProto, *, through_casts: bool = False) -> None:
        self.model = model
        self._through_casts = through_casts
        self.graph = model.graph
        self.constants: dict[str, TensorProto] = {tensor.name: tensor for tensor in self.graph.initializer}
        self._makers = {name: node for node in self.graph.node for name in node.output}
        self._readers: dict[str, list[NodeProto]] = {}
        for node in self.graph.node:
            for name in node.input:
                self._readers.setdefault(name, []).append(node)
        self._before: dict[str, list[NodeProto]] = {}  # first output of a node -> what is inserted before it
        self._removed: set[str] = set()  # first outputs of replaced nodes

    def source(self, name: str) -> str:
        """The tensor that a tensor is a cast of, if casts are looked through; else the tensor itself."""
        while self._through_casts and (maker := self._makers.get(name)) is not None and maker.op_type == "Cast":
            name = maker.input[0]
        return name

    def maker(self, name: str) -> NodeProto | None:
        """The operator that computes a tensor; None for inputs and weights."""
        return self._makers.get(self.source(name))

    def expect(self, name: str, operator: str) -> NodeProto:
        """The operator that computes a tensor, if it is of a type.

        Raises:
            NoMatchError: It is of another type.
        """
        maker = self.maker(name)
        if maker is None or maker.op_type != operator:
            raise NoMatchError(f"{name}: got {maker.op_type if maker else 'no operator'}, expected {operator}")
        return maker

    def readers(self, name: str) -> list[NodeProto]:
        """The operators that read a tensor; if casts are looked through, also those that read a cast of it."""
        found: list[NodeProto] = []
        for node in self._readers.get(name, ()):
            found += self.readers(node.output[0]) if self._through_casts and node.op_type == "Cast" else [node]
        return found

    def only_reader(self, name: str, operator: str) -> NodeProto:
        """The one operator that reads a tensor, if it is of a type.

        Raises:
            NoMatchError: There are more, or it is of another type.
        """
        found = self.readers(name)
        if len(found) != 1 or found[0].op_type != operator or self.is_output(name):
            raise NoMatchError(f"{name}: read by {[node.op_type for node in found]}, expected one {operator}")
        return found[0]

    def is_output(self, name: str) -> bool:
        """Whether a tensor is an output of the graph."""
        return any(value.name == name for value in self.graph.output)

    def constant(self, name: str) -> NDArray[Any]:
        """The values of a weight or constant.

        Raises:
            NoMatchError: The tensor is computed.
        """
        if name not in self.constants:
            raise NoMatchError(f"{name}: got a computed tensor, expected a constant")
        array: NDArray[Any] = numpy_helper.to_array(self.constants[name])
        return array

    def is_vector(self, name: str) -> bool:
        """Whether a constant has one axis, as biases have."""
        return len(self.constants[name].dims) == 1

    def with_constant(self, node: NodeProto) -> tuple[str, NDArray[Any]]:
        """Split the inputs of a commutative operator into the computed tensor and the constant.

        Raises:
            NoMatchError: Not one of each.
        """
        names = [name for name in node.input if name in self.constants]
        if len(names) != 1 or len(node.input) != 2:
            raise NoMatchError(f"{node.output[0]}: {len(names)} of the operands of {node.op_type} are constant")
        computed = node.input[0] if node.input[1] == names[0] else node.input[1]
        return computed, self.constant(names[0])

    def element_type(self, name: str) -> int:
        """Element type of a floating-point tensor, which it has from the first operand of what computes it."""
        while (maker := self._makers.get(name)) is not None and maker.op_type != "Cast":
            name = maker.input[0]
        if maker is not None:
            return int(attribute(maker, "to"))
        if name in self.constants:
            return int(self.constants[name].data_type)
        return next(int(value.type.tensor_type.elem_type) for value in self.graph.input if value.name == name)

    def add_constant(self, name: str, value: NDArray[Any]) -> str:
        """Add a constant, unless one of this name is there, and return its name."""
        if name not in self.constants:
            tensor = numpy_helper.from_array(np.asarray(value, order="C"), name)
            self.graph.initializer.append(tensor)
            self.constants[name] = tensor
        return name

    def insert_before(self, place: NodeProto, nodes: Sequence[NodeProto]) -> None:
        """Insert operators before another one, behind those that were inserted there already."""
        self._before.setdefault(place.output[0], []).extend(nodes)

    def replace(self, node: NodeProto, nodes: Sequence[NodeProto]) -> None:
        """Put other operators where one is; they give its outputs."""
        self.insert_before(node, nodes)
        self._removed.add(node.output[0])

    def commit(self) -> None:
        """Write the changes into the graph, and remove operators and constants that nothing reads any more."""
        nodes: list[NodeProto] = []
        for node in self.graph.node:
            nodes += self._before.get(node.output[0], [])
            if node.output[0] not in self._removed:
                nodes.append(node)
        needed = {value.name for value in self.graph.output}
        kept: list[NodeProto] = []
        for node in reversed(nodes):
            if not needed.isdisjoint(node.output):
                needed.update(node.input)
                kept.append(node)
        del self.graph.node[:]
        self.graph.node.extend(reversed(kept))
        for values in (self.graph.initializer, self.graph.value_info):
            for place in reversed(range(len(values))):  # in place: copies of all weights take seconds
                if values[place].name not in needed:
                    del values[place]
        if not any(opset.domain == MICROSOFT for opset in self.model.opset_import):
            self.model.opset_import.append(helper.make_opsetid(MICROSOFT, 1))

    def microsoft(
        self, operator: str, inputs: Sequence[str], outputs: Sequence[str], element_type: int, **attributes: Any
    ) -> NodeProto:
        """Make one of ONNX Runtime's own operators, and note the type of its outputs, which onnx cannot infer.

        Args:
            operator: Its type.
            inputs: Names of its inputs; empty for one that is left out.
            outputs: Names of its outputs; empty for one that is left out.
            element_type: Of its outputs.
            attributes: Its attributes.

        Returns:
            The operator, which is not in the graph yet.
        """
        for name in filter(None, outputs):
            if not self.is_output(name):
                self.graph.value_info.append(helper.make_tensor_value_info(name, element_type, None))
        return helper.make_node(
            operator, list(inputs), list(outputs), f"node_{outputs[0]}", domain=MICROSOFT, **attributes
        )


def attribute(node: NodeProto, name: str) -> Any:
    """The value of an attribute; None if the operator leaves it out."""
    return next((helper.get_attribute_value(item) for item in node.attribute if item.name == name), None)

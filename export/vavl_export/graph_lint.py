"""Rules that every graph of a bundle keeps, so that ONNX Runtime 1.19 and TensorRT 10.3 can run it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import onnx

from vavl_export.errors import ExportError

MAX_OPSET = 20

# Operators whose output shape depends on data (they prevent CUDA graphs and static TensorRT profiles), control flow,
# randomness, and operators that export should have folded.
FORBIDDEN = {
    "BatchNormalization",
    "Compress",
    "Dropout",
    "If",
    "IsNaN",
    "Loop",
    "NonMaxSuppression",
    "NonZero",
    "RandomNormal",
    "RandomNormalLike",
    "RandomUniform",
    "RandomUniformLike",
    "Scan",
    "ScatterND",
    "StringNormalizer",
    "Unique",
}


@dataclass(frozen=True)
class LintedGraph:
    """A graph that keeps the rules.

    Attributes:
        opset: Version of its operator set.
        operators: Number of its operators.
    """

    opset: int
    operators: int


def lint_graphs(models: Mapping[str, onnx.ModelProto]) -> dict[str, LintedGraph]:
    """Check several graphs.

    Args:
        models: Graphs by name; their weights may be external.

    Returns:
        What was found, by name.

    Raises:
        ExportError: Graphs break rules; the message lists every problem of every graph.
    """
    problems = {name: found for name, model in models.items() if (found := list(_problems(model)))}
    if problems:
        listed = "; ".join(f"{name}: {'; '.join(found)}" for name, found in problems.items())
        raise ExportError(f"graphs break the rules for bundles: {listed}; change the model, or report this as a bug")
    return {name: LintedGraph(model.opset_import[0].version, len(model.graph.node)) for name, model in models.items()}


def lint_graph(model: onnx.ModelProto, name: str) -> LintedGraph:
    """Check one graph; see `lint_graphs`."""
    return lint_graphs({name: model})[name]


def _problems(model: onnx.ModelProto) -> Iterator[str]:
    for opset in model.opset_import:
        if opset.domain or opset.version > MAX_OPSET:
            yield f"opset {opset.domain or 'ai.onnx'} {opset.version}, expected ai.onnx of at most {MAX_OPSET}"
    if model.functions:
        yield f"{len(model.functions)} local functions, expected plain operators"
    for operator in sorted({node.op_type for node in model.graph.node} & FORBIDDEN):
        yield f"operator {operator}"
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.DOUBLE:
            yield f"float64 weight {tensor.name}"
    for value in model.graph.input:
        for axis, dim in enumerate(value.type.tensor_type.shape.dim):
            if not dim.dim_param and not dim.dim_value:
                yield f"input {value.name} axis {axis} has neither size nor name"

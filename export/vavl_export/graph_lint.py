"""Rules that every graph of a bundle keeps, so that ONNX Runtime 1.19 and TensorRT 10.3 can run it."""

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass

import onnx

from vavl_export.errors import ExportError
from vavl_runtime.bundle.manifest import RunsOn

MAX_OPSET = 20
MICROSOFT = "com.microsoft"  # the domain of ONNX Runtime's own operators

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


def lint_graphs(models: Mapping[str, onnx.ModelProto], domains: Set[str] = frozenset()) -> dict[str, LintedGraph]:
    """Check several graphs.

    Args:
        models: Graphs by name; their weights may be external.
        domains: Domains of operators that are allowed beside ONNX's own.

    Returns:
        What was found, by name.

    Raises:
        ExportError: Graphs break rules; the message lists every problem of every graph.
    """
    problems = {name: found for name, model in models.items() if (found := list(_problems(model, domains)))}
    if problems:
        listed = "; ".join(f"{name}: {'; '.join(found)}" for name, found in problems.items())
        raise ExportError(f"graphs break the rules for bundles: {listed}; change the model, or report this as a bug")
    return {name: LintedGraph(_opset(model), len(model.graph.node)) for name, model in models.items()}


def lint_graph(model: onnx.ModelProto, name: str, runs_on: RunsOn | None = None) -> LintedGraph:
    """Check one graph; see `lint_graphs`. A graph for ``onnxruntime_gpu`` may use ONNX Runtime's own operators."""
    return lint_graphs({name: model}, {MICROSOFT} if runs_on == "onnxruntime_gpu" else frozenset())[name]


def _opset(model: onnx.ModelProto) -> int:
    return next(int(opset.version) for opset in model.opset_import if not opset.domain)


def _problems(model: onnx.ModelProto, domains: Set[str]) -> Iterator[str]:
    for opset in model.opset_import:
        if opset.domain in domains:
            continue
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

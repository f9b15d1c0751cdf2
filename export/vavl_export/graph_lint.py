"""Rules that every graph of a bundle keeps, so that ONNX Runtime 1.19 and TensorRT 10.3 can take it."""

from collections.abc import Iterator

import onnx

from vavl_export.errors import ExportError

MAX_OPSET = 20

# Operators whose output shape depends on data (no CUDA graph, no static TensorRT profile), control flow,
# randomness, and what export should have folded away.
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


def check_rules(model: onnx.ModelProto, name: str) -> None:
    """Check one graph.

    Args:
        model: The graph; its weights may be external.
        name: How to call it in messages.

    Raises:
        ExportError: The graph breaks rules; all of them are listed.
    """
    problems = [
        f"opset {opset.domain or 'ai.onnx'} {opset.version}, expected ai.onnx of at most {MAX_OPSET}"
        for opset in model.opset_import
        if opset.domain or opset.version > MAX_OPSET
    ]
    if model.functions:
        problems.append(f"{len(model.functions)} local functions, expected plain operators")
    used = {node.op_type for node in model.graph.node}
    problems += [f"operator {operator}" for operator in sorted(used & FORBIDDEN)]
    doubles = [tensor.name for tensor in model.graph.initializer if tensor.data_type == onnx.TensorProto.DOUBLE]
    problems += [f"float64 weight {tensor}" for tensor in doubles]
    problems += list(_anonymous_inputs(model))
    if problems:
        raise ExportError(f"{name}: breaks the rules for graphs: {'; '.join(problems)}")


def _anonymous_inputs(model: onnx.ModelProto) -> Iterator[str]:
    for value in model.graph.input:
        for axis, dim in enumerate(value.type.tensor_type.shape.dim):
            if not dim.dim_param and not dim.dim_value:
                yield f"input {value.name} axis {axis} has neither size nor name"

"""Exports one graph with `torch.onnx.export` (dynamo), and rewrites it with stable names and versions."""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import onnx
import torch
from torch.export import Dim

from vavl_export.errors import ExportError
from vavl_export.graph_passes import fold_transposed_weights, order_gelu, sigmoid_of_two, split_prelu
from vavl_export.graph_specs import GraphSpec

OPSET = 18  # the newest that every target reads without conversion
IR_VERSION = 9  # onnxruntime 1.19 reads up to 10


def export_graph(spec: GraphSpec) -> onnx.ModelProto:
    """Export one graph.

    Args:
        spec: What to export.

    Returns:
        The graph with its weights inside and its dynamic axes named; it has no traces of this machine.

    Raises:
        ExportError: The exporter refuses the module.
    """
    example = spec.example(2 if 0 in spec.axes[spec.inputs[0]] else 1, 1.0)
    dims: dict[str, Any] = {}
    shapes = tuple(
        {axis: dims.setdefault(symbol, Dim.DYNAMIC) for axis, symbol in spec.axes[name].items()} for name in spec.inputs
    )
    try:
        with torch.no_grad(), _quiet():
            program = torch.onnx.export(
                spec.module.eval(),
                example,
                dynamo=True,
                opset_version=OPSET,
                input_names=list(spec.inputs),
                output_names=list(spec.outputs),
                dynamic_shapes=shapes,
                verbose=False,
            )
    except Exception as error:  # the exporter raises many types
        raise ExportError(f"{spec.name}: torch.onnx.export failed: {str(error).strip().splitlines()[0]}") from error
    model: onnx.ModelProto = program.model_proto
    fold_transposed_weights(model)
    order_gelu(model)
    split_prelu(model)
    sigmoid_of_two(model)
    _tidy(model, spec)
    return model


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hide what the exporter prints about its progress and version conversion."""
    level = logging.getLogger("torch.onnx").level
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.getLogger("torch.onnx").setLevel(level)


def _tidy(model: onnx.ModelProto, spec: GraphSpec) -> None:
    model.ir_version = IR_VERSION
    model.graph.name = spec.name
    model.doc_string = ""
    model.graph.doc_string = ""
    del model.metadata_props[:]
    del model.graph.metadata_props[:]
    del model.graph.value_info[:]
    for node in model.graph.node:
        del node.metadata_props[:]  # source lines and stack traces of the exporting machine
        node.doc_string = ""
    for initializer in model.graph.initializer:
        del initializer.metadata_props[:]
        initializer.doc_string = ""
    symbols: dict[str, str] = {}
    for value in model.graph.input:
        del value.metadata_props[:]
        for axis, symbol in spec.axes[value.name].items():
            dim = value.type.tensor_type.shape.dim[axis]
            symbols[dim.dim_param] = symbol
            dim.dim_param = symbol
    for value in model.graph.output:
        del value.metadata_props[:]
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param:
                dim.dim_param = symbols.get(dim.dim_param, "tokens")

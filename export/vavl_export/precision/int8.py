"""Quantises a graph to int8: QuantizeLinear/DequantizeLinear pairs around its products, calibrated on real clips.

ONNX Runtime's static quantiser does the work; this module decides which operators to quantise. Weights are quantised
per output channel, and everything is symmetric, as TensorRT requires. Residual additions, norms, attention's own
products, depthwise convolutions, the layers before the first norm and the head after the last norm stay fp32.

Weights use seven bits. x86 processors without VNNI add two 8-bit products in 16 bits, which saturates silently, and a
graph must give the same answers on every machine.
"""

import contextlib
import logging
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import NodeProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static

from vavl_export.precision.half_conversion import PRODUCTS
from vavl_export.precision.sessions import open_session
from vavl_runtime.bundle.golden import Arrays, relative_l2


def quantize(model: onnx.ModelProto, inputs: Sequence[Arrays]) -> onnx.ModelProto | None:
    """Quantise a graph to int8.

    Args:
        model: An fp32 graph, weights inside; not changed.
        inputs: Inputs to calibrate it on.

    Returns:
        The graph with Q/DQ pairs; None if it has nothing to quantise, see `quantizable`.
    """
    names = quantizable(model)
    if not names:
        return None
    with tempfile.TemporaryDirectory() as folder, _quiet():
        place = Path(folder) / "quantized.onnx"
        quantize_static(
            onnx.ModelProto.FromString(model.SerializeToString()),
            place,
            _Reader(inputs),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=sorted(PRODUCTS),
            nodes_to_quantize=names,
            per_channel=True,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            reduce_range=True,
            calibrate_method=CalibrationMethod.MinMax,
            extra_options={
                "ActivationSymmetric": True,
                "WeightSymmetric": True,
                "QuantizeBias": False,  # TensorRT takes fp32 biases; ONNX Runtime quantises them itself
                # Products flow into residual additions and norms, which stay fp32. Convolutions are the exception:
                # without a rounded output, ONNX Runtime would compute them in fp32.
                "OpTypesToExcludeOutputQuantization": sorted(PRODUCTS - {"Conv"}),
            },
        )
        quantized = onnx.load(place)
    _tidy(quantized, model)
    _unround_additions(quantized)
    return quantized


def with_unsigned_activations(quantized: onnx.ModelProto) -> onnx.ModelProto:
    """Rewrite a quantised graph with unsigned activations, whose zero is at 128.

    x86 processors multiply unsigned by signed numbers, and ONNX Runtime computes many products of two signed numbers in
    fp32. TensorRT takes signed numbers only.

    Args:
        quantized: What `quantize` returned; not changed.

    Returns:
        A graph that computes the same values.
    """
    model = onnx.ModelProto()
    model.CopyFrom(quantized)
    zeros = {node.input[2] for node in model.graph.node if node.op_type == "QuantizeLinear"}
    for tensor in model.graph.initializer:
        if tensor.name in zeros:
            signed = numpy_helper.to_array(tensor)
            tensor.CopyFrom(numpy_helper.from_array((signed.astype(np.int16) + 128).astype(np.uint8), tensor.name))
    return model


def quantization_drift(model: onnx.ModelProto, quantized: onnx.ModelProto, inputs: Sequence[Arrays]) -> float:
    """Compare a graph with its quantised form.

    Args:
        model: The fp32 graph, weights inside.
        quantized: What `quantize` returned for it.
        inputs: Inputs to run both on.

    Returns:
        The largest relative L2 distance of any output on any input.
    """
    exact, rounded = open_session(model), open_session(with_unsigned_activations(quantized))
    worst = 0.0
    for fed in inputs:
        pairs = zip(exact.run(None, fed), rounded.run(None, fed), strict=True)
        worst = max(worst, *(relative_l2(got, expected) for expected, got in pairs))
    return worst


def quantizable(model: onnx.ModelProto) -> list[str]:
    """List the operators to quantise.

    Args:
        model: The fp32 graph.

    Returns:
        Names of the products of an activation and a weight that stand between the first and the last norm, where
        activations are bounded; in a graph without norms, between the first and the last such product.
    """
    weights = {tensor.name for tensor in model.graph.initializer}
    candidates = [node for node in model.graph.node if _multiplies_weight(node, weights)]
    norms = [node for node in model.graph.node if node.op_type == "LayerNormalization"]
    fences = {node.output[0] for node in norms or candidates}
    after: set[str] = set()
    for node in model.graph.node:
        if node.output[0] in fences or not after.isdisjoint(node.input):
            after.update(node.output)
    before: set[str] = set()
    for node in reversed(model.graph.node):
        if node.output[0] in fences or not before.isdisjoint(node.output):
            before.update(node.input)
    return [node.name for node in candidates if node.input[0] in after and node.output[0] in before]


def _multiplies_weight(node: NodeProto, weights: set[str]) -> bool:
    if node.op_type not in PRODUCTS or node.input[1] not in weights or node.input[0] in weights:
        return False
    attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    return bool(attributes.get("group", 1) == 1)


class _Reader(CalibrationDataReader):
    """Gives calibration inputs to the quantiser, one by one."""

    def __init__(self, inputs: Sequence[Arrays]) -> None:
        self._inputs = iter(inputs)

    def get_next(self) -> Arrays | None:
        """Return the next inputs, or None at the end."""
        return next(self._inputs, None)


def _tidy(quantized: onnx.ModelProto, model: onnx.ModelProto) -> None:
    """Restore the versions and metadata that the quantiser changed."""
    opset = model.opset_import[0].version
    del quantized.opset_import[:]
    quantized.opset_import.append(helper.make_opsetid("", opset))
    quantized.ir_version = model.ir_version
    quantized.producer_name, quantized.producer_version = model.producer_name, model.producer_version
    del quantized.metadata_props[:]
    del quantized.graph.value_info[:]


def _unround_additions(model: onnx.ModelProto) -> None:
    """Feed the results of convolutions to residual additions without rounding them."""
    nodes = model.graph.node
    makers = {output: node for node in nodes for output in node.output}
    for addition in nodes:
        if addition.op_type != "Add":
            continue
        for position, name in enumerate(addition.input):
            restored = makers.get(name)
            rounded = makers.get(restored.input[0]) if restored is not None else None
            if restored is None or rounded is None or restored.op_type != "DequantizeLinear":
                continue
            source = makers.get(rounded.input[0])
            if source is not None and source.op_type == "Conv":
                addition.input[position] = rounded.input[0]
    read = {name for node in nodes for name in node.input} | {value.name for value in model.graph.output}
    # Remove dequantisers without readers first; then the quantisers before them have no readers either.
    for operator in ("DequantizeLinear", "QuantizeLinear"):
        for node in [node for node in nodes if node.op_type == operator and node.output[0] not in read]:
            nodes.remove(node)
        read = {name for node in nodes for name in node.input} | {value.name for value in model.graph.output}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in read]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hide the quantiser's advice to preprocess the graph: the exporter has done that already."""
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)

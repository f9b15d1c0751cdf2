"""int8: explicit QuantizeLinear/DequantizeLinear around the products inside a graph, calibrated on what clips give.

ONNX Runtime's static quantiser does the work; this decides where. Weights are quantised per output channel, everything
symmetrically, as TensorRT wants it. Residual additions, norms, attention's own products, depthwise convolutions, the
layers before the first norm and the head after the last one stay fp32.

Weights keep to seven bits: x86 processors without VNNI add two products of eight bits in sixteen, which would saturate
without a word, and a graph must answer alike on every machine.
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

from vavl_export.golden import Arrays, relative_l2
from vavl_export.precision.activation_stats import open_session
from vavl_export.precision.half_conversion import PRODUCTS


def quantize(model: onnx.ModelProto, inputs: Sequence[Arrays]) -> onnx.ModelProto | None:
    """Quantise a graph.

    Args:
        model: An fp32 graph, weights inside; not changed.
        inputs: Inputs to calibrate it on.

    Returns:
        The graph with Q/DQ pairs, or None if it has nothing to quantise; see `quantizable`.
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
                "QuantizeBias": False,  # TensorRT takes biases as they are; ONNX Runtime quantises them by itself
                # They flow into residual additions and norms. A convolution that nothing rounds behind it would be
                # computed in fp32 by ONNX Runtime.
                "OpTypesToExcludeOutputQuantization": sorted(PRODUCTS - {"Conv"}),
            },
        )
        quantized = onnx.load(place)
    _tidy(quantized, model)
    _spare_additions(quantized)
    return quantized


def with_unsigned_activations(quantized: onnx.ModelProto) -> onnx.ModelProto:
    """Write the same arithmetic with unsigned activations, zero at 128.

    x86 processors multiply unsigned by signed numbers; ONNX Runtime computes many products of two signed ones in fp32.
    TensorRT takes signed numbers only.

    Args:
        quantized: What `quantize` returned; not changed.

    Returns:
        A graph that rounds to the same values.
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
    """Compare a graph with its quantised self.

    Args:
        model: The fp32 graph, weights inside.
        quantized: What `quantize` made of it.
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
    """Names of the operators to quantise.

    Args:
        model: The fp32 graph.

    Returns:
        Products of an activation and a weight between the first and the last norm, where activations are bounded; in a
        graph without norms, between the first and the last such product.
    """
    weights = {tensor.name for tensor in model.graph.initializer}
    candidates = [node for node in model.graph.node if _multiplies_weight(node, weights)]
    norms = [node for node in model.graph.node if node.op_type == "LayerNormalization"]
    fences = {node.output[0] for node in norms or candidates}
    behind: set[str] = set()
    for node in model.graph.node:
        if node.output[0] in fences or not behind.isdisjoint(node.input):
            behind.update(node.output)
    prefetch: set[str] = set()
    for node in reversed(model.graph.node):
        if node.output[0] in fences or not prefetch.isdisjoint(node.output):
            prefetch.update(node.input)
    return [node.name for node in candidates if node.input[0] in behind and node.output[0] in prefetch]


def _multiplies_weight(node: NodeProto, weights: set[str]) -> bool:
    if node.op_type not in PRODUCTS or node.input[1] not in weights or node.input[0] in weights:
        return False
    attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    return bool(attributes.get("group", 1) == 1)


class _Reader(CalibrationDataReader):
    """Hands calibration inputs to the quantiser, one by one."""

    def __init__(self, inputs: Sequence[Arrays]) -> None:
        self._inputs = iter(inputs)

    def get_next(self) -> Arrays | None:
        """The next inputs, or None at the end."""
        return next(self._inputs, None)


def _tidy(quantized: onnx.ModelProto, model: onnx.ModelProto) -> None:
    """Put back what the quantiser leaves its marks on."""
    opset = model.opset_import[0].version
    del quantized.opset_import[:]
    quantized.opset_import.append(helper.make_opsetid("", opset))
    quantized.ir_version = model.ir_version
    quantized.producer_name, quantized.producer_version = model.producer_name, model.producer_version
    del quantized.metadata_props[:]
    del quantized.graph.value_info[:]


def _spare_additions(model: onnx.ModelProto) -> None:
    """Let convolutions flow into residual additions unrounded."""
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
    # First the dequantisers that nobody reads, then the quantisers before them.
    for operator in ("DequantizeLinear", "QuantizeLinear"):
        for node in [node for node in nodes if node.op_type == operator and node.output[0] not in read]:
            nodes.remove(node)
        read = {name for node in nodes for name in node.input} | {value.name for value in model.graph.output}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in read]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep advice to run a preprocessing step, which our exporter did already, off the terminal."""
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)

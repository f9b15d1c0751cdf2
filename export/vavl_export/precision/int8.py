"""int8: explicit QuantizeLinear/DequantizeLinear around the products inside a graph, calibrated on what clips give.

ONNX Runtime's static quantiser does the work; this decides where. Weights are quantised per output channel, everything
symmetrically, as TensorRT wants it. Residual additions, norms, attention's own products, depthwise convolutions, the
layers before the first norm and the head after the last one stay fp32.
"""

import contextlib
import logging
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import onnx
from onnx import NodeProto, helper
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static

from vavl_export.golden import Arrays, relative_l2
from vavl_export.precision.half import PRODUCTS
from vavl_export.precision.probes import open_session


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
            calibrate_method=CalibrationMethod.MinMax,
            extra_options={
                "ActivationSymmetric": True,
                "WeightSymmetric": True,
                "QuantizeBias": False,  # TensorRT takes biases as they are; ONNX Runtime quantises them by itself
                "OpTypesToExcludeOutputQuantization": sorted(PRODUCTS),  # they flow into residual additions and norms
            },
        )
        quantized = onnx.load(place)
    _tidy(quantized, model)
    return quantized


def quantization_drift(model: onnx.ModelProto, quantized: onnx.ModelProto, inputs: Sequence[Arrays]) -> float:
    """Compare a graph with its quantised self.

    Args:
        model: The fp32 graph, weights inside.
        quantized: What `quantize` made of it.
        inputs: Inputs to run both on.

    Returns:
        The largest relative L2 distance of any output on any input.
    """
    exact, rounded = open_session(model), open_session(quantized)
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
    ahead: set[str] = set()
    for node in reversed(model.graph.node):
        if node.output[0] in fences or not ahead.isdisjoint(node.output):
            ahead.update(node.input)
    return [node.name for node in candidates if node.input[0] in behind and node.output[0] in ahead]


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

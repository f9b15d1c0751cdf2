"""Lower precisions, graph by graph: parity, tensors kept in fp32 against overflow, emulation, quantisation."""

from collections.abc import Callable, Sequence

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper, shape_inference

from tests.export.conftest import FindGraph
from tests.export.exported import spec_of
from vavl.errors import ConfigError
from vavl_export.golden import record_golden
from vavl_export.graph_lint import lint_graph
from vavl_export.graph_specs import GraphSpec
from vavl_export.precision.emulate import emulate
from vavl_export.precision.half_conversion import (
    ELEMENT_TYPES,
    LIMITS,
    choose_half_operators,
    convert_to_half,
    float_tensors,
)
from vavl_export.precision.half_overflow import HalfGraph, activation_peaks, convert_without_overflow
from vavl_export.precision.int8 import quantizable, quantization_drift, quantize, with_unsigned_activations
from vavl_export.precision.sessions import open_session
from vavl_export.precision.variants import VariantRequest
from vavl_runtime.bundle.golden import TOLERANCE, Arrays, relative_l2

ALWAYS_FP32 = {"LayerNormalization", "Softmax", "ReduceSum", "ReduceMean", "AveragePool", "Log", "Exp", "Sqrt"}
Graph = tuple[GraphSpec, onnx.ModelProto, list[tuple[Arrays, Arrays]]]


ReadGraph = Callable[[str, str], Graph]


@pytest.fixture(scope="module")
def read_graph(find_graph: FindGraph) -> ReadGraph:
    """Gives plan, model and what PyTorch computes of a graph of `spec_of`."""

    def read(kind: str, name: str) -> Graph:
        plan = spec_of(kind, name)
        return plan, onnx.load(find_graph(kind, name)), record_golden(plan)

    return read


@pytest.fixture(
    scope="module",
    params=[
        ("classification", "audio_visual"),
        ("pretrained", "face_encoder"),
        *[pytest.param(("tiny bundle", name), marks=pytest.mark.slow) for name in ("audio", "visual", "audio_encoder")],
    ],
    ids="-".join,
)
def graph(request: pytest.FixtureRequest, read_graph: ReadGraph) -> Graph:
    return read_graph(*request.param)


def _lower(model: onnx.ModelProto, precision: str, inputs: Sequence[Arrays]) -> HalfGraph:
    return convert_without_overflow(model, precision, activation_peaks(model, inputs), inputs)  # type: ignore[arg-type]


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_half_precision_agrees_with_torch(graph: Graph, precision: str) -> None:
    plan, model, recorded = graph
    half = _lower(model, precision, [inputs for inputs, _ in recorded])
    lint_graph(half.model, plan.name)
    sessions = [open_session(emulate(half.model, precision), optimize=False)]  # type: ignore[arg-type]
    if precision == "fp16":  # ONNX Runtime's CPU has no bf16
        sessions.append(open_session(half.model))
    for session in sessions:
        for inputs, outputs in recorded:
            for name, got in zip(plan.outputs, session.run(list(plan.outputs), inputs), strict=True):
                assert got.dtype == outputs[name].dtype
                assert relative_l2(got, outputs[name]) <= TOLERANCE[precision], name


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_half_precision_keeps_the_signature_and_what_must_stay_fp32(graph: Graph, precision: str) -> None:
    _, model, recorded = graph
    half = _lower(model, precision, [inputs for inputs, _ in recorded]).model
    onnx.checker.check_model(half, full_check=True)  # element types that the operators of our opset do not take fail
    assert list(half.graph.input) == list(model.graph.input)
    assert list(half.graph.output) == list(model.graph.output)
    inferred = shape_inference.infer_shapes(half, strict_mode=True).graph.value_info
    low = {value.name for value in inferred if value.type.tensor_type.elem_type == ELEMENT_TYPES[precision]}
    assert low, "nothing was lowered"
    for node in half.graph.node:
        if node.op_type in ALWAYS_FP32:
            assert low.isdisjoint((*node.input, *node.output)), node.name


def test_all_products_of_a_path_but_the_first_and_the_head_are_lowered(read_graph: ReadGraph) -> None:
    _, model, _ = read_graph("classification", "audio_visual")
    low = choose_half_operators(model, "fp16", float_tensors(model), frozenset())
    products = [node for node in model.graph.node if node.op_type in ("MatMul", "Conv", "Gemm")]
    weights = {tensor.name: tensor.dims for tensor in model.graph.initializer}
    exact = [node for node in products if node.output[0] not in low]
    first = [node for node in exact if node.op_type == "Conv"]
    last = [node for node in exact if node.op_type == "Gemm"]
    assert (len(exact), len(first), len(last)) == (5, 2, 3)  # a projection of each modality, and the head
    assert list(weights[last[-1].input[1]]) == [6, 8]


def _chain(*weights: NDArray[np.float32], constant: float = 1.0) -> onnx.ModelProto:
    """x W1 + c, W2, ... : a graph of products whose activations are easy to drive anywhere."""
    nodes, initializers, last = [], [], "x"
    for number, weight in enumerate(weights):
        initializers += [
            numpy_helper.from_array(weight, f"w{number}"),
            numpy_helper.from_array(np.float32(constant), f"c{number}"),
        ]
        nodes += [
            helper.make_node("MatMul", [last, f"w{number}"], [f"product{number}"], name=f"node{number}"),
            helper.make_node("Add", [f"product{number}", f"c{number}"], [f"sum{number}"]),
        ]
        last = f"sum{number}"
    nodes.append(helper.make_node("Identity", [last], ["y"]))
    width = weights[0].shape[0]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", width])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", weights[-1].shape[1]])]
    return helper.make_model(
        helper.make_graph(nodes, "chain", inputs, outputs, initializers),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=9,
    )


def test_a_planted_overflow_becomes_an_fp32_island_and_nothing_else_does() -> None:
    generator = np.random.default_rng(0)
    gains = [1.0, 1e3, 1e3, 1e-3, 1e-3]  # the third product reaches a million
    weights = [generator.standard_normal((16, 16)).astype(np.float32) / 4 * np.float32(gain) for gain in gains]
    model = _chain(*weights)
    inputs = [{"x": generator.standard_normal((3, 16)).astype(np.float32)}]
    naive = convert_to_half(model, "fp16", ())
    broken = open_session(emulate(naive, "fp16"), optimize=False).run(None, inputs[0])[0]
    exact = open_session(model).run(None, inputs[0])[0]
    assert not np.isfinite(broken).all()  # otherwise the test plants nothing
    half = _lower(model, "fp16", inputs)
    assert set(half.kept_fp32) == {"product2", "sum2"}
    assert half.kept_fp32["product2"] > LIMITS[TensorProto.FLOAT16][1]
    assert half.worst is not None and half.worst[0] not in half.kept_fp32
    mended = open_session(emulate(half.model, "fp16"), optimize=False).run(None, inputs[0])[0]
    assert relative_l2(mended, exact) <= TOLERANCE["fp16"]
    # Weights inside an island too are stored in fp16: another path may use them outside of one.
    stored = {tensor.name: tensor.data_type for tensor in half.model.graph.initializer}
    assert all(stored[f"w{number}.fp16"] == TensorProto.FLOAT16 for number in range(1, len(weights)))


def test_bf16_needs_no_island_where_fp16_does() -> None:
    weight = np.eye(4, dtype=np.float32) * np.float32(1e3)
    model, inputs = _chain(weight, weight), [{"x": np.ones((1, 4), np.float32)}]
    assert _lower(model, "fp16", inputs).kept_fp32
    assert not _lower(model, "bf16", inputs).kept_fp32


def test_a_constant_that_fp16_cannot_hold_keeps_its_operator_in_fp32() -> None:
    model = _chain(*[np.eye(4, dtype=np.float32)] * 3, constant=1e-12)
    low = choose_half_operators(model, "fp16", float_tensors(model), frozenset())
    assert low == {"product1", "product2"}
    low = choose_half_operators(model, "bf16", float_tensors(model), frozenset())
    assert low == {"product1", "sum1", "product2"}


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(-3.0, 3.0), min_size=1, max_size=4), st.sampled_from(["fp16", "bf16"]), st.integers(0, 99))
def test_any_chain_is_lowered_without_overflow(scales: list[float], precision: str, seed: int) -> None:
    generator = np.random.default_rng(seed)
    weights = [generator.standard_normal((8, 8)).astype(np.float32) * np.float32(10.0**scale) for scale in scales]
    model = _chain(*weights)
    inputs = [{"x": generator.standard_normal((2, 8)).astype(np.float32)}]
    exact = open_session(model).run(None, inputs[0])[0]
    half = _lower(model, precision, inputs)
    session = open_session(emulate(half.model, precision), optimize=False)  # type: ignore[arg-type]
    assert relative_l2(session.run(None, inputs[0])[0], exact) <= 10 * TOLERANCE[precision]


def test_emulation_rounds_and_onnxruntime_does_not_undo_it() -> None:
    model = convert_to_half(_chain(*[np.eye(2, dtype=np.float32)] * 2, constant=0.0), "bf16")
    value = np.array([[1.0 + 2.0**-12, 3.0]], np.float32)
    assert open_session(emulate(model, "bf16"), optimize=False).run(None, {"x": value})[0].tolist() == [[1.0, 3.0]]


@pytest.mark.slow
def test_int8_leaves_first_last_and_attention_products_alone(read_graph: ReadGraph) -> None:
    _, model, _ = read_graph("tiny bundle", "audio")
    names = quantizable(model)
    products = [node for node in model.graph.node if node.op_type in ("MatMul", "Conv", "Gemm")]
    weights = {tensor.name for tensor in model.graph.initializer}
    chosen = [node for node in products if node.name in names]
    assert names
    assert products[0].name not in names and products[-1].name not in names
    assert all(node.input[1] in weights for node in chosen)
    assert not any(attribute.name == "group" and attribute.i > 1 for node in chosen for attribute in node.attribute)


@pytest.mark.slow
def test_int8_has_explicit_pairs_per_channel_and_fp32_residuals(read_graph: ReadGraph) -> None:
    _, model, recorded = read_graph("tiny bundle", "audio")
    inputs = [fed for fed, _ in recorded]
    quantized = quantize(model, inputs)
    assert quantized is not None
    lint_graph(quantized, "audio int8")
    onnx.checker.check_model(quantized, full_check=True)
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in quantized.graph.initializer}
    makers = {output: node for node in quantized.graph.node for output in node.output}
    dequantized = {node.output[0] for node in quantized.graph.node if node.op_type == "DequantizeLinear"}
    names = set(quantizable(model))
    for node in quantized.graph.node:
        if node.op_type in ("Add", "LayerNormalization", "Softmax"):
            assert dequantized.isdisjoint(node.input), node.name
        if node.name in names:
            assert dequantized.issuperset(node.input[:2]), node.name
            weight = makers[node.input[1]]
            channels = arrays[weight.input[0]].shape[0 if node.op_type in ("Conv", "Gemm") else 1]
            assert arrays[weight.input[0]].dtype == np.int8
            assert arrays[weight.input[1]].shape == (channels,)
    assert all(not zero.any() for name, zero in arrays.items() if "zero_point" in name)
    assert 0 < quantization_drift(model, quantized, inputs) < TOLERANCE["int8"]


def _residual_convolutions() -> onnx.ModelProto:
    """x C0 C1 + x C0, C2, C3: of the inner convolutions one flows into an addition and one does not."""
    weights = [
        numpy_helper.from_array(np.random.default_rng(n).normal(size=(4, 4, 3)).astype("f4"), f"w{n}") for n in range(4)
    ]
    flow = (("Conv", ["x", "w0"], "c0"), ("Conv", ["c0", "w1"], "c1"), ("Add", ["c1", "c0"], "sum"))
    flow += (("Conv", ["sum", "w2"], "c2"), ("Conv", ["c2", "w3"], "y"))
    nodes = [helper.make_node(operator, fed, [made], name=f"make_{made}") for operator, fed, made in flow]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4, "time"]) for name in ("x", "y")]
    for node in nodes:
        if node.op_type == "Conv":
            node.attribute.append(helper.make_attribute("pads", [1, 1]))
    graph = helper.make_graph(nodes, "residual", ends[:1], ends[1:], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def test_what_an_int8_convolution_adds_to_a_residual_is_not_rounded_first() -> None:
    model = _residual_convolutions()
    inputs = [{"x": np.random.default_rng(4).normal(size=(1, 4, 32)).astype(np.float32)}]
    quantized = quantize(model, inputs)
    assert quantized is not None
    onnx.checker.check_model(quantized, full_check=True)
    (addition,) = [node for node in quantized.graph.node if node.op_type == "Add"]
    assert addition.input[0] == "c1"
    rounded = {node.input[0] for node in quantized.graph.node if node.op_type == "QuantizeLinear"}
    assert {"c0", "sum", "c2"} == rounded
    assert {name for node in quantized.graph.node for name in node.input} >= {
        t.name for t in quantized.graph.initializer
    }
    assert 0 < quantization_drift(model, quantized, inputs) < TOLERANCE["int8"]


@pytest.mark.parametrize("convolutions", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_unsigned_activations_compute_the_same(read_graph: ReadGraph, convolutions: bool) -> None:
    if convolutions:
        model, inputs = _residual_convolutions(), [{"x": np.linspace(-3, 5, 128, dtype=np.float32).reshape(1, 4, 32)}]
    else:
        _, model, recorded = read_graph("tiny bundle", "audio")
        inputs = [fed for fed, _ in recorded]
    signed = quantize(model, inputs)
    assert signed is not None
    unsigned = with_unsigned_activations(signed)
    lint_graph(unsigned, "unsigned")
    zeros = {node.input[2] for node in unsigned.graph.node if node.op_type == "QuantizeLinear"}
    stored = {t.name: numpy_helper.to_array(t) for t in unsigned.graph.initializer}
    assert zeros and all(stored[zero].dtype == np.uint8 and stored[zero] == 128 for zero in zeros)
    for fed in inputs:
        pairs = zip(*(open_session(graph, optimize=False).run(None, fed) for graph in (signed, unsigned)), strict=True)
        assert all(relative_l2(got, expected) < 1e-6 for expected, got in pairs)


@pytest.mark.slow
def test_no_pair_of_int8_products_overflows_sixteen_bits(read_graph: ReadGraph) -> None:
    _, model, recorded = read_graph("tiny bundle", "audio")
    quantized = quantize(model, [fed for fed, _ in recorded])
    assert quantized is not None
    weights = [numpy_helper.to_array(t) for t in quantized.graph.initializer if t.data_type == TensorProto.INT8]
    largest = max(int(np.abs(weight.astype(np.int32)).max()) for weight in weights)
    assert 2 * 255 * largest <= np.iinfo(np.int16).max


def test_a_graph_without_inner_products_is_not_quantised() -> None:
    assert quantize(_chain(np.eye(4, dtype=np.float32), np.eye(4, dtype=np.float32)), []) is None


@pytest.mark.parametrize(
    ("precisions", "message"),
    [("fp8", "expected any of fp32, fp16, bf16, int8"), ("int8", "pass calibration=FOLDER")],
)
def test_bad_precisions(precisions: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        VariantRequest(("fp32", precisions))


def test_a_graph_that_overflows_everywhere_stays_fp32() -> None:
    model = _chain(*[np.eye(2, dtype=np.float32) * np.float32(1e3)] * 2)
    inputs = [{"x": np.full((1, 2), 1e3, np.float32)}]
    half = _lower(model, "fp16", inputs)
    assert half.worst is None
    assert np.array_equal(open_session(half.model).run(None, inputs[0])[0], open_session(model).run(None, inputs[0])[0])

"""Graph passes keep the arithmetic and reach their aim."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from vavl_export.graph_passes import fold_transposed_weights, order_gelu, sigmoid_of_two, split_prelu


def _run(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


def _model(nodes: list[onnx.NodeProto], weights: dict[str, np.ndarray]) -> onnx.ModelProto:
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 4]) for name in ("x", "y")]
    graph = helper.make_graph(
        nodes, "g", value[:1], value[1:], [numpy_helper.from_array(w, n) for n, w in weights.items()]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    model.ir_version = 9
    return model


@pytest.mark.parametrize("swap", [False, True])
def test_gelu_is_written_so_that_it_fuses(swap: bool) -> None:
    def mul(a: str, b: str, out: str) -> onnx.NodeProto:
        return helper.make_node("Mul", [b, a] if swap else [a, b], [out])

    nodes = [
        helper.make_node("Div", ["x", "root"], ["scaled"]),
        helper.make_node("Erf", ["scaled"], ["erf"]),
        helper.make_node("Add", ["erf", "one"], ["added"]),
        mul("half", "added", "halved"),
        mul("x", "halved", "y"),
    ]
    model = _model(nodes, {k: np.array(v, np.float32) for k, v in {"root": 2**0.5, "one": 1.0, "half": 0.5}.items()})
    x = np.linspace(-4, 4, 20, dtype=np.float32).reshape(5, 4)
    expected = torch.nn.functional.gelu(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(_run(model, x), expected, atol=1e-6)
    order_gelu(model)
    np.testing.assert_allclose(_run(model, x), expected, atol=1e-6)
    assert list(model.graph.node[-1].input) == ["halved", "half"]
    assert set(model.graph.node[-2].input) == {"x", "added"}


@pytest.mark.parametrize("count", [1, 2])
def test_prelu_is_split_to_the_same_values(count: int) -> None:
    slopes = {"first": np.array([-0.5, 0.0, 0.25, 2.0], np.float32), "second": np.float32(0.1)}
    nodes = [helper.make_node("PRelu", ["x", "first"], ["y" if count == 1 else "hidden"])]
    if count == 2:
        nodes.append(helper.make_node("PRelu", ["hidden", "second"], ["y"]))
    model = _model(nodes, slopes)
    x = np.random.default_rng(0).standard_normal((50, 4), np.float32)
    expected = _run(model, x)
    split_prelu(model)
    onnx.checker.check_model(model)
    assert "PRelu" not in {node.op_type for node in model.graph.node}
    np.testing.assert_allclose(_run(model, x), expected, rtol=1e-6, atol=1e-6)


def _two_channels(read: int) -> onnx.ModelProto:
    """Which of two channels is how likely, as P-Net has it."""
    random = np.random.default_rng(1)
    weights = {
        "w": random.standard_normal((2, 3, 1, 1), np.float32),
        "b": random.standard_normal(2, np.float32),
        "read": np.array(read, np.int64),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["both"]),
        helper.make_node("Softmax", ["both"], ["shares"], axis=1),
        helper.make_node("Gather", ["shares", "read"], ["y"], axis=1),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, "h", "w"])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", "h", "w"])
    initializers = [numpy_helper.from_array(w, n) for n, w in weights.items()]
    model = helper.make_model(
        helper.make_graph(nodes, "g", [x], [y], initializers), opset_imports=[helper.make_opsetid("", 18)]
    )
    model.ir_version = 9
    return model


def test_softmax_of_two_channels_becomes_a_sigmoid() -> None:
    model = _two_channels(1)
    x = np.random.default_rng(2).standard_normal((2, 3, 5, 7), np.float32)
    expected = _run(model, x)
    sigmoid_of_two(model)
    onnx.checker.check_model(model)
    assert [node.op_type for node in model.graph.node] == ["Conv", "Sigmoid", "Squeeze"]
    assert {tensor.name for tensor in model.graph.initializer} == {"w", "b", "y.axis"}  # nothing unused
    np.testing.assert_allclose(_run(model, x), expected, atol=1e-6)


def test_the_first_of_two_channels_stays_a_softmax() -> None:
    model = _two_channels(0)
    before = model.SerializeToString()
    sigmoid_of_two(model)
    assert model.SerializeToString() == before


def test_without_prelu_nothing_is_added() -> None:
    model = _model([helper.make_node("Relu", ["x"], ["y"])], {})
    before = model.SerializeToString()
    split_prelu(model)
    assert model.SerializeToString() == before


def test_transposes_of_weights_vanish_and_are_shared() -> None:
    weight = np.random.default_rng(0).standard_normal((4, 4), np.float32)
    nodes = [
        helper.make_node("Transpose", ["w"], ["first"], perm=[1, 0]),
        helper.make_node("MatMul", ["x", "first"], ["hidden"]),
        helper.make_node("Transpose", ["w"], ["second"], perm=[1, 0]),
        helper.make_node("MatMul", ["hidden", "second"], ["y"]),
    ]
    model = _model(nodes, {"w": weight})
    x = np.ones((2, 4), np.float32)
    expected = _run(model, x)
    fold_transposed_weights(model)
    np.testing.assert_allclose(_run(model, x), expected, rtol=1e-6)
    assert [node.op_type for node in model.graph.node] == ["MatMul", "MatMul"]
    assert len(model.graph.initializer) == 1

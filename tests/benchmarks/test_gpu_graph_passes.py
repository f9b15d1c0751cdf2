"""Cutting a graph in parts and narrowing its norms leave what it computes alone."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from benchmarks.gpu.narrowing import narrow_norms
from benchmarks.gpu.splitting import fix_dimension, split_by_inputs
from vavl_export.errors import ExportError

FLOAT, HALF = TensorProto.FLOAT, TensorProto.FLOAT16


def value(name: str, *shape: str | int, kind: int = FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, list(shape))


def model(nodes: list, inputs: list, outputs: list, weights: dict[str, np.ndarray]) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes, "made", inputs, outputs, [numpy_helper.from_array(array, name) for name, array in weights.items()]
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(made, full_check=True)
    return made


def run(made: onnx.ModelProto, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    session = ort.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))


def two_branches() -> onnx.ModelProto:
    """Sound and pictures, where the pictures' branch is shaped by the number of clips that the sound has."""
    nodes = [
        helper.make_node("MatMul", ["sound", "w"], ["heard"]),
        helper.make_node("Shape", ["heard"], ["clips"], start=0, end=1),
        helper.make_node("Concat", ["clips", "width"], ["target"], axis=0),
        helper.make_node("Relu", ["picture"], ["relu"]),
        helper.make_node("Reshape", ["relu", "target"], ["seen"]),
        helper.make_node("Concat", ["heard", "seen"], ["both"], axis=1),
        helper.make_node("Tanh", ["both"], ["answer"]),
    ]
    weights = {"w": np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32), "width": np.array([6], np.int64)}
    inputs = [value("sound", "batch", 4), value("picture", 2, 3)]
    return model(nodes, inputs, [value("answer", "batch", 9)], weights)


def test_parts_together_are_the_whole() -> None:
    whole = two_branches()
    generator = np.random.default_rng(1)
    sound, picture = (generator.normal(size=shape).astype(np.float32) for shape in ((1, 4), (2, 3)))
    expected = run(whole, {"sound": sound, "picture": picture})
    fix_dimension(whole, "batch", 1)
    parts = split_by_inputs(whole, {"hear": ["sound"], "see": ["picture"]})
    assert [output.name for output in parts["see"].graph.output] == ["seen"]  # nothing waits for the sound
    between = run(parts["hear"], {"sound": sound}) | run(parts["see"], {"picture": picture})
    np.testing.assert_allclose(run(parts["rest"], between)["answer"], expected["answer"], rtol=1e-6)


def test_inputs_that_belong_nowhere_are_refused() -> None:
    with pytest.raises(ExportError, match="inputs picture are in no group"):
        split_by_inputs(two_branches(), {"hear": ["sound"]})


def normed() -> onnx.ModelProto:
    """An fp16 product, a norm in fp32, an fp16 product, and a reader of the norm that stays fp32."""
    nodes = [
        helper.make_node("Cast", ["x"], ["low"], to=HALF),
        helper.make_node("MatMul", ["low", "w"], ["product"]),
        helper.make_node("Cast", ["product"], ["wide"], to=FLOAT),
        helper.make_node("LayerNormalization", ["wide", "scale", "bias"], ["norm"], epsilon=1e-5),
        helper.make_node("Transpose", ["norm"], ["turned"], perm=[1, 0]),
        helper.make_node("Cast", ["turned"], ["narrow"], to=HALF),
        helper.make_node("MatMul", ["narrow", "v"], ["again"]),
        helper.make_node("Cast", ["again"], ["y"], to=FLOAT),
        helper.make_node("ReduceMean", ["y", "axes"], ["mean"], keepdims=1),
        helper.make_node("Cast", ["mean"], ["low_mean"], to=HALF),
        helper.make_node("Identity", ["low_mean"], ["z"]),
        helper.make_node("ReduceSum", ["norm"], ["sum"], keepdims=0),
    ]
    generator = np.random.default_rng(2)
    weights = {
        "w": generator.normal(size=(8, 8)).astype(np.float16),
        "v": generator.normal(size=(5, 8)).astype(np.float16),
        "scale": generator.normal(size=8).astype(np.float32),
        "bias": generator.normal(size=8).astype(np.float32),
        "axes": np.array([1], np.int64),
    }
    return model(nodes, [value("x", 5, 8)], [value("y", 8, 8), value("z", 8, 1, kind=HALF), value("sum")], weights)


def test_narrow_norms_compute_the_same() -> None:
    wide, narrow = normed(), normed()
    assert narrow_norms(narrow) == 2
    onnx.checker.check_model(narrow, full_check=True)
    assert not any(node.op_type == "Cast" and node.input[0] == "product" for node in narrow.graph.node)
    x = {"x": np.random.default_rng(3).normal(size=(5, 8)).astype(np.float32)}
    expected, got = run(wide, x), run(narrow, x)
    np.testing.assert_allclose(got["y"], expected["y"], rtol=0.02, atol=0.05)
    np.testing.assert_allclose(got["z"], expected["z"], rtol=0.02, atol=0.05)
    np.testing.assert_allclose(got["sum"], expected["sum"], rtol=0.02, atol=0.05)


def test_norms_of_an_fp32_graph_stay(tmp_path: Path) -> None:
    nodes = [helper.make_node("LayerNormalization", ["x", "scale"], ["y"])]
    made = model(nodes, [value("x", 2, 4)], [value("y", 2, 4)], {"scale": np.ones(4, np.float32)})
    before = made.SerializeToString(deterministic=True)
    assert narrow_norms(made) == 0
    assert made.SerializeToString(deterministic=True) == before

"""Graphs rewritten for ONNX Runtime on GPUs compute what the exported ones compute, and launch less.

ONNX Runtime's CPU has these operators in fp32 only. So the rewritten fp32 graph is compared with the exported one, and
its fp16 twin must have the same operators.
"""

from collections import Counter

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from onnx import NodeProto, helper, numpy_helper

from tests.export.conftest import FindGraph
from tests.export.exported import spec_of
from vavl_export.errors import ExportError
from vavl_export.graph_lint import lint_graph
from vavl_export.ort_gpu.attention import find_attention
from vavl_export.ort_gpu.fuse import fuse_for_gpu
from vavl_export.ort_gpu.graph_view import GraphView, NoMatchError
from vavl_export.ort_gpu.launches import count_launches
from vavl_export.precision.half_conversion import convert_to_half
from vavl_runtime.bundle.golden import TOLERANCE, relative_l2

Arrays = dict[str, NDArray[np.generic]]

# A path with the term of positions, twice; and an audio encoder without. The fast tier exports each once. All graphs of
# the paper's size are compared when their fp16 variants are made for `tests.trt_rtx`. The paper's comes first: another
# process starts with the tiny bundle, and neither should wait for the other's export.
CASES = [
    pytest.param(("paper", "audio_visual"), marks=[pytest.mark.slow, pytest.mark.long]),
    ("classification", "audio_visual"),
    ("wav2vec2", "audio_encoder"),
    *[
        pytest.param(("tiny bundle", name), marks=pytest.mark.slow)
        for name in ("visual", "audio_visual", "audio_encoder")
    ],
]


@pytest.fixture(scope="module", params=CASES, ids=str)
def case(request: pytest.FixtureRequest) -> tuple[str, str]:
    kind: tuple[str, str] = request.param
    return kind


@pytest.fixture(scope="module")
def exported(case: tuple[str, str], find_graph: FindGraph) -> onnx.ModelProto:
    return onnx.load(find_graph(*case))


@pytest.fixture(scope="module")
def fused(exported: onnx.ModelProto) -> onnx.ModelProto:
    return _fused(exported)


def _fused(model: onnx.ModelProto) -> onnx.ModelProto:
    copied = onnx.ModelProto.FromString(model.SerializeToString())
    fuse_for_gpu(copied)
    return copied


def _run(model: onnx.ModelProto, inputs: Arrays, outputs: list[str] | None = None) -> Arrays:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = outputs or [value.name for value in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))


def _example(case: tuple[str, str], batch: int, length: float) -> Arrays:
    """Clips of different lengths; the first is the longest."""
    spec = spec_of(*case)
    return {name: value.numpy() for name, value in zip(spec.inputs, spec.example(batch, length), strict=True)}


def _error(got: Arrays, expected: Arrays) -> float:
    """Largest relative L2 error of an output; what stands in padding does not count."""
    if "audio_features" in expected:
        valid = np.arange(expected["audio_features"].shape[1]) < expected["audio_lengths"][:, None]  # type: ignore[operator]
        got, expected = ({**arrays, "audio_features": arrays["audio_features"][valid]} for arrays in (got, expected))
    return max(relative_l2(got[name], expected[name]) for name in expected)


def _types(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node if node.op_type != "Cast"]


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("length", [0.0, 0.16, 0.3, 1.0, 3.0])  # 8 and 4 tokens, and numbers that are no multiple of 8
def test_the_rewritten_graph_computes_the_same(
    case: tuple[str, str], exported: onnx.ModelProto, fused: onnx.ModelProto, batch: int, length: float
) -> None:
    inputs = _example(case, batch, length)
    assert _error(_run(fused, inputs), _run(exported, inputs)) <= TOLERANCE["fp32"]


def test_no_attention_is_left_and_each_weight_is_there_once(exported: onnx.ModelProto, fused: onnx.ModelProto) -> None:
    attention = find_attention(GraphView(exported, through_casts=True))
    operators = Counter(node.op_type for node in fused.graph.node)
    assert operators["Attention"] == len(attention)
    assert find_attention(GraphView(fused, through_casts=True)) == []
    weights = {numpy_helper.to_array(tensor).tobytes() for tensor in exported.graph.initializer}
    added = [tensor for tensor in fused.graph.initializer if numpy_helper.to_array(tensor).tobytes() not in weights]
    rows = max((len(item.query.bias) for item in attention), default=0)
    assert all(np.prod(tensor.dims) <= 9 * rows or len(tensor.dims) < 2 for tensor in added)  # no packed weight


def test_the_fp16_twin_has_the_same_operators(exported: onnx.ModelProto, fused: onnx.ModelProto) -> None:
    twin = convert_to_half(exported, "fp16", half_means=True)
    fuse_for_gpu(twin)
    got, expected = Counter(_types(twin)), Counter(_types(fused))
    # In fp16, a norm that stays fp32 keeps its residual apart; everything else is as it is in fp32.
    apart = expected["SkipLayerNormalization"] - got["SkipLayerNormalization"]
    assert 0 <= apart <= 2
    for operators in (got, expected):
        for name in ("SkipLayerNormalization", "LayerNormalization", "Add"):
            operators.pop(name, None)
    assert got == expected
    half = {tensor.name for tensor in twin.graph.initializer if tensor.data_type == onnx.TensorProto.FLOAT16}
    for node in twin.graph.node:
        if node.op_type == "Concat" and node.output[0].endswith(".qkv"):
            assert half.issuperset(node.input)


def test_it_launches_much_less(exported: onnx.ModelProto, fused: onnx.ModelProto) -> None:
    attention = find_attention(GraphView(exported, through_casts=True))
    plain, own = convert_to_half(exported, "fp16"), convert_to_half(exported, "fp16", half_means=True)
    fuse_for_gpu(own)
    saved = count_launches(plain).launches - count_launches(own).launches
    assert saved >= 20 * len(attention)


def test_a_wrong_mask_is_found(case: tuple[str, str], exported: onnx.ModelProto, fused: onnx.ModelProto) -> None:
    if not find_attention(GraphView(exported, through_casts=True)):
        pytest.skip("no attention in it")
    inputs = _example(case, 4, 1.0)
    wrong = onnx.ModelProto.FromString(fused.SerializeToString())
    for node in wrong.graph.node:
        if node.op_type == "Cast" and node.output[0].endswith(".sizes.lengths"):
            node.CopyFrom(helper.make_node("Cast", [f"{node.input[0]}.longer"], node.output, to=onnx.TensorProto.INT32))
    for node in [node for node in wrong.graph.node if node.output[0].endswith(".sizes.one_more")]:
        wrong.graph.node.append(helper.make_node("Add", [node.output[0], "one more"], [f"{node.output[0]}.longer"]))
    wrong.graph.initializer.append(numpy_helper.from_array(np.float32(1.0), "one more"))
    expected = _run(exported, inputs)
    assert _error(_run(_sorted(wrong), inputs), expected) > 10 * TOLERANCE["fp32"]


def test_the_mask_tells_lengths_and_starts_in_parts_of_equal_size(
    case: tuple[str, str], exported: onnx.ModelProto, fused: onnx.ModelProto
) -> None:
    if not find_attention(GraphView(exported, through_casts=True)):
        pytest.skip("no attention in it")
    inputs = _example(case, 3, 0.3)
    seen = onnx.ModelProto.FromString(fused.SerializeToString())
    masks = sorted({node.input[3] for node in seen.graph.node if node.op_type == "Attention"})
    for mask in masks:
        joined = next(node for node in seen.graph.node if node.output[0] == mask).input[0]
        parts = list(next(node for node in seen.graph.node if node.output[0] == joined).input)
        for name in {mask, *parts}:
            seen.graph.output.append(helper.make_tensor_value_info(name, onnx.TensorProto.INT32, None))
        got = _run(seen, inputs, [mask, *parts])
        assert {len(got[part]) for part in parts} == {4}  # CUDA's Concat copies from the host for unequal ones
        tokens = got[parts[1]][1]
        assert got[mask].shape == (3 * 3 + 2,) and got[mask][3:].tolist() == 2 * [0, tokens, 2 * tokens, 3 * tokens]
        if masks == [mask] and case[1] == "audio_encoder":
            assert got[mask][:3].tolist() == _run(exported, inputs)["audio_lengths"].tolist()


@pytest.mark.parametrize("length", [0.02, 0.3, 1.0])
def test_a_position_term_is_aligned_for_memory_efficient_attention(
    case: tuple[str, str], fused: onnx.ModelProto, length: float
) -> None:
    seen = onnx.ModelProto.FromString(fused.SerializeToString())
    terms = [node.input[5] for node in seen.graph.node if node.op_type == "Attention" and len(node.input) > 5]
    assert bool(terms) == (case[1] != "audio_encoder")
    for name in terms:
        seen.graph.output.append(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    shapes = [value.shape for value in _run(seen, _example(case, 2, length), terms).values()] if terms else []
    assert all(queries == keys and keys % 8 == 0 for _, _, queries, keys in shapes)


@pytest.mark.slow
def test_the_longest_sequence_keeps_its_positions(find_graph: FindGraph) -> None:
    case = ("classification", "audio_visual")
    exported = onnx.load(find_graph(*case))
    longest = spec_of(*case).module.model.config.max_tokens  # type: ignore[union-attr]
    assert longest % 8  # so it is padded beyond the table of the exported graph
    inputs = _example(case, 2, longest / 50.0)
    assert inputs["audio_features"].shape[1] == longest
    assert _error(_run(_fused(exported), inputs), _run(exported, inputs)) <= TOLERANCE["fp32"]


def _sorted(model: onnx.ModelProto) -> onnx.ModelProto:
    """Bring operators into an order in which each comes behind what it reads."""
    known = {tensor.name for tensor in model.graph.initializer} | {value.name for value in model.graph.input} | {""}
    waiting, ordered = list(model.graph.node), list[NodeProto]()
    while waiting:
        ready = [node for node in waiting if known.issuperset(node.input)]
        ordered += ready
        known.update(name for node in ready for name in node.output)
        waiting = [node for node in waiting if node not in ready]
    del model.graph.node[:]
    model.graph.node.extend(ordered)
    return model


def test_attention_of_another_form_is_refused(find_graph: FindGraph) -> None:
    model = onnx.load(find_graph("classification", "audio_visual"))
    lowered = next(node for node in model.graph.node if node.op_type == "Sub" and node.output[0] in _mask_scores(model))
    lowered.op_type = "Add"
    before = model.SerializeToString(deterministic=True)
    with pytest.raises(NoMatchError, match="got Add, expected Sub"):
        fuse_for_gpu(model)
    assert model.SerializeToString(deterministic=True) == before


def _mask_scores(model: onnx.ModelProto) -> set[str]:
    """Tensors that are scaled by a constant of 1e4."""
    large = {t.name for t in model.graph.initializer if t.dims == [] and float(numpy_helper.to_array(t)) == 1e4}
    return {node.input[0] for node in model.graph.node if node.op_type == "Mul" and node.input[1] in large}


def test_only_the_file_for_onnx_runtime_on_gpus_may_use_its_operators(find_graph: FindGraph) -> None:
    model = _fused(onnx.load(find_graph("classification", "audio_visual")))
    assert lint_graph(model, "audio_visual", "onnxruntime_gpu").opset == 18
    with pytest.raises(ExportError, match=r"opset com.microsoft 1, expected ai.onnx"):
        lint_graph(model, "audio_visual")


def test_launches_leave_out_shapes_and_folded_constants() -> None:
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Gather", ["shape", "zero"], ["size"]),
        helper.make_node("Concat", ["w", "w"], ["packed"], axis=1),
        helper.make_node("MatMul", ["x", "packed"], ["product"]),
        helper.make_node("Slice", ["w", "zeros", "shape"], ["cut"]),  # of a weight: on the GPU
        helper.make_node("Range", ["zero", "size", "size"], ["steps"]),
        helper.make_node("Sigmoid", ["product"], ["gate"]),
        helper.make_node("Mul", ["product", "gate"], ["silu"]),
        helper.make_node("Reshape", ["silu", "shape"], ["y"]),
    ]
    weights = {"w": np.zeros((16, 16), np.float32), "zero": np.array(0), "zeros": np.array([0, 0])}
    values = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n", 16]) for name in ("x", "y", "cut", "steps")
    ]
    graph = helper.make_graph(
        nodes, "g", values[:1], values[1:], [numpy_helper.from_array(value, name) for name, value in weights.items()]
    )
    counted = count_launches(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]))
    assert counted.by_operator == {"MatMul": 1, "Slice": 1, "Range": 1, "QuickGelu": 1}
    assert (counted.nodes, counted.launches) == (9, 4)

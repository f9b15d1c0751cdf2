"""A graph that the manifest vouches for can still be hostile or no graph: it is refused, with no crash."""

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from tests.runtime.damaged_bundles import SOUND, edit_manifest, flip, list_file, refused_when_used, rewrite
from vavl_runtime import Recognizer
from vavl_runtime.bundle import onnx_reader
from vavl_runtime.bundle.onnx_reader import read_onnx
from vavl_runtime.errors import (
    AlteredFileError,
    BackendUnavailableError,
    ManifestError,
    UnsafeGraphError,
    UnsafePathError,
    VavlError,
)


def replace_graph(bundle: Path, content: bytes, name: str = "audio") -> None:
    """Replace a graph by another one that the manifest vouches for."""
    rewrite(bundle / f"{name}.onnx", content)
    list_file(bundle, f"{name}.onnx", content)


def external_tensor(location: str) -> TensorProto:
    tensor = TensorProto(name="stolen", data_type=TensorProto.FLOAT, dims=[4])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="offset", value="0")
    tensor.external_data.add(key="location", value=location)
    return tensor


def onnx_model(nodes: list[onnx.NodeProto], initializers: list[TensorProto], **extra: Any) -> bytes:
    output = helper.make_tensor_value_info("output", TensorProto.FLOAT, [4])
    graph = helper.make_graph(nodes, "hostile", [], [output], initializers)
    return bytes(helper.make_model(graph, **extra).SerializeToString())


def in_initializer(location: str) -> bytes:
    return onnx_model([helper.make_node("Identity", ["stolen"], ["output"])], [external_tensor(location)])


def in_constant(location: str) -> bytes:
    return onnx_model([helper.make_node("Constant", [], ["output"], value=external_tensor(location))], [])


def in_branch(location: str) -> bytes:
    output = helper.make_tensor_value_info("inner", TensorProto.FLOAT, [4])
    identity = helper.make_node("Identity", ["stolen"], ["inner"])
    branch = helper.make_graph([identity], "branch", [], [output], [external_tensor(location)])
    condition = helper.make_tensor("condition", TensorProto.BOOL, [], [True])
    node = helper.make_node("If", ["condition"], ["output"], then_branch=branch, else_branch=branch)
    return onnx_model([node], [condition])


def in_function(location: str) -> bytes:
    node = helper.make_node("Constant", [], ["inner"], value=external_tensor(location))
    function = helper.make_function("local", "Steal", [], ["inner"], [node], [helper.make_opsetid("", 17)])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("local", 1)]
    call = helper.make_node("Steal", [], ["output"], domain="local")
    return onnx_model([call], [], functions=[function], opset_imports=opsets)


def in_function_default(location: str) -> bytes:
    node = helper.make_node("Constant", [], ["inner"])
    node.attribute.add(name="value", ref_attr_name="weights", type=onnx.AttributeProto.TENSOR)
    default = helper.make_attribute("weights", external_tensor(location))
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("local", 1)]
    function = helper.make_function(
        "local", "Steal", [], ["inner"], [node], opsets[:1], attribute_protos=[default]
    )  # fmt: skip
    call = helper.make_node("Steal", [], ["output"], domain="local")
    return onnx_model([call], [], functions=[function], opset_imports=opsets)


HIDDEN = [in_initializer, in_constant]
LOCATIONS = ["../../etc/passwd", "/etc/passwd", "../outside.bin", "unlisted.bin", "encoders/../../outside.bin"]


@pytest.mark.parametrize("location", LOCATIONS)
@pytest.mark.parametrize("hide", HIDDEN)
def test_graph_that_reads_what_is_not_listed_is_refused(
    hide: Callable[[str], bytes], location: str, bundle: Path
) -> None:
    (bundle / "unlisted.bin").write_bytes(bytes(16))
    (bundle.parent / "outside.bin").write_bytes(bytes(16))
    replace_graph(bundle, hide(location))
    message = f"audio.onnx: wants to read {location!r}, which the manifest does not list"
    refused_when_used(bundle, UnsafePathError, re.escape(message))


@pytest.mark.parametrize(
    ("hide", "message"),
    [
        (in_branch, "field 6 of AttributeProto"),
        (in_function, "field 25 of ModelProto"),
        (in_function_default, "field 25 of ModelProto"),
    ],
)
def test_graph_inside_a_graph_is_refused(hide: Callable[[str], bytes], message: str, bundle: Path) -> None:
    replace_graph(bundle, hide("weights.bin"))
    refused_when_used(bundle, UnsafeGraphError, f"{message}, which exported graphs do not have")


@pytest.mark.parametrize(
    ("domain", "operator"), [("evil", "Steal"), ("com.microsoft", "Inverse"), ("ai.onnx.ml", "SVM")]
)
def test_operator_of_another_library_is_refused(domain: str, operator: str, bundle: Path) -> None:
    replace_graph(bundle, onnx_model([helper.make_node(operator, [], ["output"], domain=domain)], []))
    refused_when_used(bundle, UnsafeGraphError, f"has the operator '{operator}' of '{domain}'")


@pytest.mark.parametrize(
    ("operator", "inputs"),
    [
        ("Min", ["input", ""]),
        ("Concat", ["", "input"]),
        ("MatMul", ["", "input"]),
        ("LayerNormalization", ["input", "input", ""]),
    ],
)
def test_operator_without_an_input_that_it_needs_is_refused(operator: str, inputs: list[str], bundle: Path) -> None:
    """ONNX Runtime crashes on some of these."""
    replace_graph(bundle, onnx_model([helper.make_node(operator, inputs, ["output"])], []))
    refused_when_used(bundle, UnsafeGraphError, f"operator '{operator}' without an input that it needs")


def test_inputs_that_may_be_left_out_are_no_fault() -> None:
    node = helper.make_node("Clip", ["input", "", "highest"], ["output"])
    assert read_onnx(onnx_model([node], [])).operators == Counter({("", "Clip"): 1})


def test_many_nodes_are_refused(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_reader, "MAX_NODES", 10)
    refused_when_used(bundle, UnsafeGraphError, "more than 10 nodes")


def test_many_tensors_are_refused(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_reader, "MAX_TENSORS", 10)
    refused_when_used(bundle, UnsafeGraphError, "more than 10 tensors")


def test_long_tags_do_not_hide_a_weight_file(shared: Path) -> None:
    """Some readers cut a tag to 32 bits, so that an unknown field becomes a known one."""
    file = shared / "cases" / "hostile" / "diff.onnx"
    if not file.is_file():
        pytest.skip("no hostile graph among the real media")
    with pytest.raises(ValueError, match="of more than 32 bits"):
        read_onnx(file.read_bytes())


def external_of(model: onnx.ModelProto) -> set[str]:
    tensors = [*model.graph.initializer, *(a.t for node in model.graph.node for a in node.attribute if a.HasField("t"))]
    return {entry.value for tensor in tensors for entry in tensor.external_data if entry.key == "location"}


SMALL = in_initializer("weights.bin") + in_constant("weights.bin")


@settings(max_examples=500)
@given(
    st.lists(st.tuples(st.integers(0, len(SMALL) - 1), st.integers(0, 255)), min_size=1, max_size=4),
    st.lists(st.tuples(st.integers(0, len(SMALL) - 1), st.binary(min_size=1, max_size=6)), max_size=2),
)
def test_what_is_accepted_is_read_as_protobuf_reads_it(
    changes: list[tuple[int, int]], additions: list[tuple[int, bytes]]
) -> None:
    damaged = bytearray(SMALL)
    for position, value in changes:
        damaged[position] = value
    for position, added in additions:
        damaged[position:position] = added
    model = onnx.ModelProto()
    try:
        content = read_onnx(bytes(damaged))
        model.ParseFromString(bytes(damaged))
    except (ValueError, DecodeError):  # refused by us, or by every runtime
        return
    assert content.external_files == external_of(model)
    assert content.operators == Counter((node.domain, node.op_type) for node in model.graph.node)


def test_graph_that_reads_another_listed_file_gets_it_verified(bundle: Path) -> None:
    replace_graph(bundle, in_initializer("encoders/face_encoder.bin"))
    flip(bundle / "encoders" / "face_encoder.bin", 0)
    refused_when_used(bundle, AlteredFileError, "face_encoder.bin: sha256 is")


def nested_graph(depth: int) -> bytes:
    """A graph whose one node holds a graph whose one node holds …"""

    def field(number: int, content: bytes) -> bytes:
        size, length = len(content), b""
        while size > 127:
            length += bytes([size & 127 | 128])
            size >>= 7
        return bytes([number << 3 | 2]) + length + bytes([size]) + content

    content = b""
    for _ in range(depth):
        content = field(1, field(5, field(6, content)))
    return field(7, content)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"garbage " * 100, UnsafeGraphError),
        (in_initializer("weights.bin")[:-3], UnsafeGraphError),
        (nested_graph(1000), UnsafeGraphError),
        (b"", BackendUnavailableError),
    ],
    ids=["garbage", "cut", "deep", "empty"],
)
def test_listed_file_that_is_no_graph(content: bytes, expected: type[VavlError], bundle: Path) -> None:
    replace_graph(bundle, content)
    refused_when_used(bundle, expected, "audio.onnx: (not an ONNX graph|ONNX Runtime refuses the graph)")


def more_labels(manifest: dict[str, Any]) -> None:
    manifest["labels"].append("bored")


def fewer_labels(manifest: dict[str, Any]) -> None:
    manifest["labels"].pop()


def another_output(manifest: dict[str, Any]) -> None:
    manifest["graphs"]["audio"]["outputs"][0]["name"] = "other"


def another_type(manifest: dict[str, Any]) -> None:
    manifest["graphs"]["audio"]["inputs"][0]["dtype"] = "float16"


def another_rank(manifest: dict[str, Any]) -> None:
    manifest["graphs"]["audio"]["inputs"][0]["shape"].pop()


def another_width(manifest: dict[str, Any]) -> None:
    manifest["graphs"]["audio"]["inputs"][0]["shape"][-1] += 1


def fixed_batch(manifest: dict[str, Any]) -> None:
    manifest["graphs"]["audio"]["inputs"][0]["shape"][0] = 1


@pytest.mark.parametrize("edit", [another_type, another_rank, another_width, fixed_batch])
def test_signature_in_full(edit: Callable[[dict[str, Any]], None], bundle: Path) -> None:
    edit_manifest(bundle, edit)
    refused_when_used(bundle, ManifestError, "audio.onnx: has inputs and outputs .*, the manifest says")


@pytest.mark.parametrize("edit", [more_labels, fewer_labels, another_output])
def test_manifest_that_contradicts_its_graphs_stays_in_the_tree(
    edit: Callable[[dict[str, Any]], None], bundle: Path
) -> None:
    edit_manifest(bundle, edit)
    with pytest.raises(VavlError), Recognizer(bundle, threads=1) as recognizer:
        recognizer.predict(SOUND)

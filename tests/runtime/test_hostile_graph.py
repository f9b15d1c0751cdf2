"""A graph that the manifest vouches for can still be hostile or no graph: it is refused, with no crash."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from tests.runtime.damaged_bundles import SOUND, edit_manifest, flip, list_file, refused_when_used, rewrite
from vavl_runtime import Recognizer
from vavl_runtime.errors import AlteredFileError, BackendUnavailableError, ManifestError, UnsafePathError, VavlError


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


HIDDEN = [in_initializer, in_constant, in_branch, in_function, in_function_default]
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
        (b"garbage " * 100, ManifestError),
        (in_initializer("weights.bin")[:-3], ManifestError),
        (nested_graph(1000), ManifestError),
        (b"", BackendUnavailableError),
    ],
    ids=["garbage", "cut", "deep", "empty"],
)
def test_listed_file_that_is_no_graph(content: bytes, expected: type[VavlError], bundle: Path) -> None:
    replace_graph(bundle, content)
    refused_when_used(bundle, expected, "audio.onnx: (not an ONNX file|ONNX Runtime refuses the graph)")


def more_labels(manifest: dict[str, Any]) -> None:
    manifest["labels"].append("bored")


def fewer_labels(manifest: dict[str, Any]) -> None:
    manifest["labels"].pop()


def another_output(manifest: dict[str, Any]) -> None:
    manifest["graphs"]["audio"]["outputs"][0]["name"] = "other"


@pytest.mark.parametrize("edit", [more_labels, fewer_labels, another_output])
def test_manifest_that_contradicts_its_graphs_stays_in_the_tree(
    edit: Callable[[dict[str, Any]], None], bundle: Path
) -> None:
    edit_manifest(bundle, edit)
    with pytest.raises(VavlError), Recognizer(bundle, threads=1) as recognizer:
        recognizer.predict(SOUND)

"""Reads from an ONNX file which other files it would open, without the onnx package.

A graph may keep weights in "external data" files named inside its protobuf. A hostile graph could name any file
of the machine, so the names are compared with the manifest before a runtime sees the graph.
"""

from collections.abc import Iterator

MAX_DEPTH = 64

# Field numbers of onnx.proto: ModelProto.graph, GraphProto.{node, initializer, sparse_initializer},
# NodeProto.attribute, AttributeProto.{t, g, tensors, graphs}, SparseTensorProto.{values, indices},
# FunctionProto.{node, attribute_proto}.
_NESTED = {
    "model": {7: "graph", 25: "function"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "entry"},
}


def external_files(model: bytes) -> set[str]:
    """List the external data files that an ONNX model names.

    Args:
        model: The serialised ``ModelProto``.

    Returns:
        The ``location`` values, relative to the model's folder.

    Raises:
        ValueError: Not a well-formed protobuf message.
    """
    return set(_locations(memoryview(model), "model", 0))


def _locations(message: memoryview, kind: str, depth: int) -> Iterator[str]:
    if depth > MAX_DEPTH:
        raise ValueError("graphs nested too deeply")
    if kind == "entry":  # StringStringEntryProto: 1 key, 2 value
        fields = dict(_fields(message))
        if bytes(fields.get(1, b"")) == b"location":
            yield bytes(fields.get(2, b"")).decode("utf-8")
        return
    for number, value in _fields(message):
        if nested := _NESTED[kind].get(number):
            yield from _locations(value, nested, depth + 1)


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yield (field number, content) of the length-delimited fields of a message."""
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        wire = tag & 7
        if wire == 0:
            _, position = _varint(message, position)
        elif wire in (1, 5):
            position += 8 if wire == 1 else 4
        elif wire == 2:
            size, position = _varint(message, position)
            if position + size > len(message):
                raise ValueError("truncated protobuf field")
            yield tag >> 3, message[position : position + size]
            position += size
        else:
            raise ValueError(f"protobuf wire type {wire} is not used by ONNX")


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if position >= len(message) or shift > 63:
            raise ValueError("truncated protobuf number")
        byte = message[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
        shift += 7

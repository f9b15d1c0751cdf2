"""Reads an ONNX file without the onnx package, before a runtime does: the files that it would open, and its operators.

A graph may keep weights in "external data" files named inside its protobuf. A hostile graph could name any file of the
machine, so the names are compared with the manifest first. Readers of protobuf differ in what they do with odd bytes;
what they could read differently is refused here, as is every part of the format that exported graphs do not use.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

MAX_NODES = 100_000
MAX_TENSORS = 100_000

_KNOWN = {
    "ModelProto": {1, 2, 3, 4, 5, 6, 7, 8, 14},  # without training_info and functions
    "GraphProto": {1, 2, 5, 10, 11, 12, 13, 14, 16},  # without sparse_initializer
    "NodeProto": {1, 2, 3, 4, 5, 6, 7, 9},
    "AttributeProto": {1, 2, 3, 4, 5, 7, 8, 9, 13, 20},  # without graphs, which If, Loop and Scan have
    "TensorProto": {1, 2, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 16},
    "external_data": {1, 2},
}
_INSIDE = {
    ("ModelProto", 7): "GraphProto",
    ("GraphProto", 1): "NodeProto",
    ("GraphProto", 5): "TensorProto",
    ("NodeProto", 5): "AttributeProto",
    ("AttributeProto", 5): "TensorProto",
    ("TensorProto", 13): "external_data",
}
_INPUT, _OP_TYPE, _DOMAIN = 1, 4, 7  # fields of NodeProto
# ONNX Runtime crashes where one of the inputs that these have in exported graphs is left out.
_WITHOUT_GAPS = frozenset(("Concat", "Einsum", "LayerNormalization", "Max", "Mean", "Min", "Sum"))
_KEY, _VALUE = 1, 2  # fields of external_data
_EXTERNAL_KEYS = (b"location", b"offset", b"length", b"checksum")


@dataclass
class OnnxContent:
    """What an ONNX file holds.

    Attributes:
        external_files: The files that it reads weights from, relative to its folder.
        operators: How many nodes have each operator, by domain and type; ``""`` is ONNX's own domain.
        tensors: How many tensors it holds.
    """

    external_files: set[str] = field(default_factory=set)
    operators: Counter[tuple[str, str]] = field(default_factory=Counter)
    tensors: int = 0


def read_onnx(model: bytes) -> OnnxContent:
    """Read a model.

    Args:
        model: The serialised ``ModelProto``.

    Returns:
        What it holds.

    Raises:
        ValueError: Not well-formed protobuf, or a part of the format that exported graphs do not use.
    """
    content = OnnxContent()
    _read(memoryview(model), "ModelProto", content)
    return content


def _read(message: memoryview, kind: str, content: OnnxContent) -> None:
    values: dict[int, str] = {}
    inputs: list[bool] = []  # of a node: whether each is there
    for number, value in _fields(message):
        if number not in _KNOWN[kind]:
            raise ValueError(f"field {number} of {kind}, which exported graphs do not have")
        inside = _INSIDE.get((kind, number))
        if inside is not None:
            if value is None:
                raise ValueError(f"field {number} of {kind} is a number, expected a message")
            _read(value, inside, content)
        elif value is not None and (kind == "external_data" or (kind == "NodeProto" and number in (_OP_TYPE, _DOMAIN))):
            values[number] = bytes(value).decode("utf-8")  # of a field that stands there twice, the last one counts
        if kind == "NodeProto" and number == _INPUT:
            inputs.append(bool(value))
    if kind == "NodeProto":
        if not all(inputs if values.get(_OP_TYPE) in _WITHOUT_GAPS else inputs[:1]):
            raise ValueError(f"operator {values.get(_OP_TYPE)!r:.40} without an input that it needs")
        content.operators[values.get(_DOMAIN, ""), values.get(_OP_TYPE, "")] += 1
        if content.operators.total() > MAX_NODES:
            raise ValueError(f"more than {MAX_NODES} nodes")
    elif kind == "TensorProto":
        content.tensors += 1
        if content.tensors > MAX_TENSORS:
            raise ValueError(f"more than {MAX_TENSORS} tensors")
    elif kind == "external_data":
        key = values.get(_KEY, "")
        if key.encode() not in _EXTERNAL_KEYS:
            raise ValueError(f"external data with the key {key!r:.40}")
        if key == "location":
            content.external_files.add(values.get(_VALUE, ""))


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview | None]]:
    """Yield the fields of a message: number, and content if it is length-delimited."""
    position = 0
    while position < len(message):
        tag, position = _varint(message, position, bits=32)
        number, wire = tag >> 3, tag & 7
        if number == 0:
            raise ValueError("protobuf field 0")
        if wire == 2:
            size, position = _varint(message, position, bits=31)
            end = position + size
        elif wire == 0:
            _, end = _varint(message, position, bits=64)
        elif wire in (1, 5):
            end = position + (8 if wire == 1 else 4)
        else:
            raise ValueError(f"protobuf wire type {wire} is not used by ONNX")
        if end > len(message):
            raise ValueError("truncated protobuf field")
        yield number, message[position:end] if wire == 2 else None
        position = end


def _varint(message: memoryview, position: int, *, bits: int) -> tuple[int, int]:
    """Read a number in its shortest form: some readers cut longer ones, and so see another field."""
    value = shift = 0
    while True:
        if position >= len(message):
            raise ValueError("truncated protobuf number")
        byte = message[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            if value >= 1 << bits or (byte == 0 and shift):
                raise ValueError(f"protobuf number that is longer than needed, or of more than {bits} bits")
            return value, position
        shift += 7
        if shift > 63:
            raise ValueError("protobuf number of more than 10 bytes")

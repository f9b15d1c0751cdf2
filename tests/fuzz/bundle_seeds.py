"""The packaged bundle as files to damage, and a copy of it with almost no weights, which opens at once."""

import io
import json
import re
import zipfile
from collections.abc import Sequence
from functools import cache
from random import Random
from typing import Any

import onnx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.fuzz.checksums import mend_zip
from tests.fuzz.mutations import Seed
from tests.runtime.damaged_bundles import entry_of
from vavl_runtime.bundle import PACKAGED_BUNDLE
from vavl_runtime.bundle.manifest import FILE_NAME
from vavl_runtime.bundle.signature import SIGNATURE_NAME

KEY = "key.pem"

_WORDS = (
    *(b"null", b"true", b"-1", b"0", b"1e999", b"NaN", b"-0.0", b"1e-320", b"99999999999999999999", b"[]", b"{}"),
    *(
        b'""',
        b'"\\u0000"',
        b'"\\ud800"',
        b'"../x"',
        b"[[[[",
        b'"fp16"',
        b'"variants"',
        b'"graphs"',
        b'"files"',
        b'"crop"',
    ),
    *(b'"labels"', b'"limits"', b'"window_s"', b'"min_face"', b'"shape"', b'"thresholds"', b'"detect_every"'),
)
_VALUES = (
    None,
    True,
    0,
    -1,
    1,
    2,
    12,
    0.3,
    0.5,
    1e-9,
    1e300,
    1 << 31,
    1 << 64,
    "",
    "x",
    "fp16",
    "a/b",
    [],
    [[]],
    {},
    "\x1b[2J",
)
_LEAST = 64  # bytes kept of each weight file
_SIZES = (-1, 0, 1, 2, 255, 1 << 20, 1 << 31, 1 << 40, -(1 << 62))
_NEVER = ("If", "Loop", "Scan", "Expand", "ConstantOfShape", "Range", "Tile", "Resize", "NonZero", "Reshape", "Gather")


@cache
def small_bundle() -> dict[str, bytes]:
    """Files of a bundle by path; its weights are cut, so it opens and cannot be run."""
    files = {}
    for place in PACKAGED_BUNDLE.rglob("*"):
        path = place.relative_to(PACKAGED_BUNDLE).as_posix()
        if place.is_file() and not re.search(r"golden/.*_encoder|golden/.*net", path):
            files[path] = place.read_bytes()[: _LEAST if path.endswith(".bin") else None]
    manifest = json.loads(files.pop(FILE_NAME))
    manifest["files"] = {path: entry_of(content) for path, content in sorted(files.items())}
    return {FILE_NAME: json.dumps(manifest, indent=1).encode(), **files}


@cache
def manifest_seeds() -> tuple[Seed, ...]:
    """The manifest with one value a line, and on one line."""
    content = small_bundle()[FILE_NAME]
    dense = json.dumps(json.loads(content)).encode()
    return tuple(
        Seed(
            FILE_NAME,
            text,
            tuple((found.start(), len(found[0])) for found in re.finditer(pattern, text)),
            _WORDS,
            _change_value,
        )
        for text, pattern in ((content, rb"[^\n]+\n"), (dense, rb'"[^"]*": [^,{}\[\]]+'))
    )


def _change_value(content: bytearray, seed: Seed, all_seeds: Sequence[Seed], random: Random) -> None:
    """Put another value in place of one, remove it, or rename it; the JSON stays well-formed."""
    try:
        place = json.loads(content)
    except ValueError:  # an earlier damage has made it no JSON any more
        return
    root = place
    while isinstance(place, dict | list) and place:
        key = random.choice(list(place)) if isinstance(place, dict) else random.randrange(len(place))
        inside = place[key]
        if not isinstance(inside, dict | list) or not inside or random.random() < 0.1:
            match random.randrange(8):
                case 0:
                    del place[key]
                case 1 if isinstance(place, dict):
                    place[random.choice((*place, "", "../x", "a" * 300))] = place.pop(key)
                case 2 | 3 if isinstance(inside, int | float):
                    place[key] = inside * random.choice((2, 0.5, -1, 1.01)) + random.choice((0, 1, -1))
                case _:
                    place[key] = random.choice(_VALUES)
            break
        place = inside
    content[:] = json.dumps(root).encode()


@cache
def archive_seeds() -> tuple[Seed, ...]:
    """The small bundle packed, stored and deflated."""
    return tuple(_packed(method) for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))


def _packed(method: int) -> Seed:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for path, content in small_bundle().items():
            archive.writestr(path, content)
        entries = [(entry.header_offset, entry.compress_size + 30) for entry in archive.infolist()]
    words = (
        b"PK\x01\x02",
        b"PK\x03\x04",
        b"PK\x05\x06",
        b"PK\x06\x06",
        b"PK\x06\x07",
        b"manifest.json",
        b"../x",
        b"\\",
    )
    return Seed("archive", file.getvalue(), tuple(entries), words, mend=mend_zip)


@cache
def graph_seeds() -> tuple[Seed, ...]:
    """Every graph of the packaged bundle; the kind is its path. Damaged as bytes and as what they mean."""
    words = (b"weights.bin", b"location", b"offset", b"length", b"MatMul", b"Conv", b"Reshape", b"com.microsoft")
    return tuple(
        Seed(place.relative_to(PACKAGED_BUNDLE).as_posix(), place.read_bytes(), words=words, own=_damage_graph)
        for place in sorted(PACKAGED_BUNDLE.rglob("*.onnx"))
    )


def _damage_graph(content: bytearray, seed: Seed, all_seeds: Sequence[Seed], random: Random) -> None:
    """Change a number, an operator, a connection or a size in the graph, which stays well-formed."""
    model = onnx.ModelProto()
    try:
        model.ParseFromString(bytes(content))
    except Exception:  # an earlier damage has made it no graph any more
        return
    if not model.graph.node or not model.graph.initializer:
        return
    node, tensor = random.choice(model.graph.node), random.choice(model.graph.initializer)
    match random.randrange(6):
        case 0:
            node.op_type = random.choice((*_NEVER, random.choice(model.graph.node).op_type))
        case 1 if node.input:
            node.input[random.randrange(len(node.input))] = random.choice(_names(model))
        case 2 if node.attribute:
            _change_attribute(random.choice(node.attribute), random)
        case 3 if tensor.dims:
            tensor.dims[random.randrange(len(tensor.dims))] = random.choice(_SIZES)
        case 4:
            tensor.data_type = random.randrange(24)
        case 5:
            for entry in tensor.external_data:
                if entry.key != "location":
                    entry.value = str(random.choice(_SIZES))
    content[:] = model.SerializeToString()


def _names(model: Any) -> list[str]:
    return ["", *(name for node in model.graph.node for name in (*node.input, *node.output))]


def _change_attribute(attribute: Any, random: Random) -> None:
    if attribute.ints:
        attribute.ints[random.randrange(len(attribute.ints))] = random.choice(_SIZES)
    else:
        attribute.i = random.choice(_SIZES)
        attribute.f = random.choice((float("nan"), float("inf"), -1e38, 0.0))


@cache
def weight_seeds() -> tuple[Seed, ...]:
    """Weights of the smaller graphs; words are numbers that no weight is: NaN, infinity, and the largest."""
    words = (b"\x00\x00\xc0\x7f", b"\x00\x00\x80\x7f", b"\xff\xff\x7f\x7f", b"\x01\x00\x00\x00")
    paths = ("detector/pnet.bin", "detector/rnet.bin", "weights.bin")
    return tuple(Seed(path, (PACKAGED_BUNDLE / path).read_bytes(), words=words) for path in paths)


@cache
def golden_seeds() -> tuple[Seed, ...]:
    """The golden vectors of one graph, as they are and stored, whose entries can be damaged without their checksum."""
    seeds = []
    for place in sorted((PACKAGED_BUNDLE / "golden").glob("audio.*.npz")):
        file = io.BytesIO()
        with zipfile.ZipFile(place) as packed, zipfile.ZipFile(file, "w") as stored:
            for name in packed.namelist():
                stored.writestr(name, packed.read(name))
        path = place.relative_to(PACKAGED_BUNDLE).as_posix()
        words = (
            b"'descr'",
            b"'<f4'",
            b"'|O'",
            b"'<U9'",
            b"'<c8'",
            b"'>f8'",
            b"(1, 9",
            b"(-1,",
            b"()",
            b"True",
            b"\x93NUMPY",
        )
        seeds += [Seed(path, content, words=words, mend=mend_zip) for content in (place.read_bytes(), file.getvalue())]
    return tuple(seeds)


@cache
def signature_seeds() -> tuple[Seed, ...]:
    """A signature of the small bundle and the public key that checks it; the private key is always the same."""
    private = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    words = (
        b"-----BEGIN ",
        b"-----END ",
        b"PUBLIC KEY",
        b"PRIVATE KEY",
        b"CERTIFICATE",
        b"-----\n",
        b"MCowBQYDK2VwAyEA",
    )
    return (
        Seed(SIGNATURE_NAME, private.sign(small_bundle()[FILE_NAME])),
        Seed(KEY, public, words=words),
    )

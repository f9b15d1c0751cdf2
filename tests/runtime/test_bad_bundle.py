"""A bundle that is damaged, altered or hostile is refused, each way with its exception, before it is used."""

import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from click.testing import Result
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper
from typer.testing import CliRunner

from vavl_runtime import ArrayClip, Recognizer, open_bundle
from vavl_runtime.cli.run import app
from vavl_runtime.errors import (
    AlteredFileError,
    BackendUnavailableError,
    BundleError,
    BundleNotFoundError,
    ManifestError,
    MissingFileError,
    UnsafePathError,
    VavlError,
)

HANG_S = 10
SOUND = ArrayClip(audio=np.sin(np.arange(16_000) * 0.09).astype(np.float32) * np.float32(0.4))
Damage = Callable[[Path], object]


# Making and damaging bundles ------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def original(light_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One copy of the bundle beside the tests' own folders, so that theirs can be made of hard links."""
    folder = tmp_path_factory.mktemp("original") / "light"
    shutil.copytree(light_bundle, folder)
    return folder


@pytest.fixture
def bundle(original: Path, tmp_path: Path) -> Path:
    """A bundle to damage with the helpers below, which never write into a file that is there."""
    return link_copy(original, tmp_path / "bundle")


@pytest.fixture(scope="session")
def archive(original: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle as a compressed archive."""
    return zip_folder(original, tmp_path_factory.mktemp("archive") / "light.vavl", zipfile.ZIP_DEFLATED)


def link_copy(original: Path, folder: Path) -> Path:
    return Path(shutil.copytree(original, folder, copy_function=os.link))


def rewrite(file: Path, content: bytes) -> None:
    """Replace a file; writing into it would alter the original behind the hard link."""
    file.unlink()
    file.write_bytes(content)


def flip(file: Path, offset: int, mask: int = 1) -> None:
    content = bytearray(file.read_bytes())
    content[offset] ^= mask
    rewrite(file, content)


def edit_manifest(bundle: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    manifest = json.loads((bundle / "manifest.json").read_text())
    edit(manifest)
    rewrite(bundle / "manifest.json", json.dumps(manifest).encode())


def list_file(bundle: Path, path: str, content: bytes) -> None:
    """Enter a file's size and hash in the manifest."""
    record = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    edit_manifest(bundle, lambda manifest: manifest["files"].update({path: record}))


def replace_graph(bundle: Path, content: bytes, name: str = "audio") -> None:
    """Replace a graph by another one that the manifest vouches for."""
    rewrite(bundle / f"{name}.onnx", content)
    list_file(bundle, f"{name}.onnx", content)


def zip_folder(folder: Path, place: Path, compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(place, "w", compression) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(folder).as_posix())
    return place


def patch_zip(place: Path, patched: Path, *, flag: int = 0, method: int | None = None) -> Path:
    """Copy an archive with other flags or another compression method in every header."""
    content = bytearray(place.read_bytes())
    for signature, at in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        for found in re.finditer(re.escape(signature), bytes(content)):
            content[found.start() + at] |= flag
            if method is not None:
                content[found.start() + at + 2] = method
    patched.write_bytes(content)
    return patched


# Running --------------------------------------------------------------------------------------------------------


def run_cli(clip: Path, bundle: Path) -> Result:
    return CliRunner().invoke(app, [str(clip), "--bundle", str(bundle), "--threads", "1", "-f", "jsonl"])


def refused_when_opened(bundle: Path, expected: type[VavlError], message: str) -> None:
    with pytest.raises(VavlError, match=message) as caught:
        open_bundle(bundle).close()
    assert type(caught.value) is expected


def refused_when_used(bundle: Path, expected: type[VavlError], message: str) -> None:
    with Recognizer(bundle, threads=1) as recognizer, pytest.raises(VavlError, match=message) as caught:
        recognizer.predict(SOUND)
    assert type(caught.value) is expected


# Refused on opening ---------------------------------------------------------------------------------------------


def manifest_is(content: bytes) -> Damage:
    return lambda bundle: rewrite(bundle / "manifest.json", content)


def manifest_has(**values: object) -> Damage:
    return lambda bundle: edit_manifest(bundle, lambda manifest: manifest.update(values))


def lists(path: str) -> Damage:
    return lambda bundle: list_file(bundle, path, b"x")


def without_graph(name: str) -> Damage:
    return lambda bundle: edit_manifest(bundle, lambda manifest: manifest["graphs"].pop(name))


def graph_needs_an_unlisted_file(bundle: Path) -> None:
    edit_manifest(bundle, lambda manifest: manifest["graphs"]["audio"].update(data="other.bin"))


def graph_needs_a_path_outside(bundle: Path) -> None:
    edit_manifest(bundle, lambda manifest: manifest["graphs"]["audio"].update(file="../audio.onnx"))


def window_of_nothing(bundle: Path) -> None:
    edit_manifest(bundle, lambda manifest: manifest["limits"].update(window_s=1e-9))


def truncated_weights(bundle: Path) -> None:
    rewrite(bundle / "weights.bin", (bundle / "weights.bin").read_bytes()[:-1])


def grown_graph(bundle: Path) -> None:
    rewrite(bundle / "audio.onnx", (bundle / "audio.onnx").read_bytes() + b"\0")


def folder_for_a_file(bundle: Path) -> None:
    (bundle / "weights.bin").unlink()
    (bundle / "weights.bin").mkdir()


def link_that_leaves(bundle: Path) -> None:
    outside = bundle.parent / "weights.bin"
    (bundle / "weights.bin").rename(outside)
    (bundle / "weights.bin").symlink_to(outside)


def folder_link_that_leaves(bundle: Path) -> None:
    outside = bundle.parent / "encoders"
    (bundle / "encoders").rename(outside)
    (bundle / "encoders").symlink_to(outside)


def link_to_itself(bundle: Path) -> None:
    (bundle / "weights.bin").unlink()
    (bundle / "weights.bin").symlink_to("weights.bin")


OPENING: dict[str, tuple[Damage, type[BundleError], str]] = {
    "missing_folder": (shutil.rmtree, BundleNotFoundError, "no bundle there; pass --bundle"),
    "manifest_missing": (
        lambda b: (b / "manifest.json").unlink(),
        ManifestError,
        "no readable manifest.json .*a bundle",
    ),
    "manifest_empty": (manifest_is(b""), ManifestError, "not JSON"),
    "manifest_not_json": (manifest_is(b"{'schema_version': 1}"), ManifestError, "not JSON"),
    "manifest_not_text": (manifest_is(b"\xff\xfe\x00"), ManifestError, "not JSON"),
    "manifest_half": (manifest_is(b'{"schema_version": 1'), ManifestError, "not JSON"),
    "manifest_list": (manifest_is(b"[1]"), ManifestError, "got schema_version None, this runtime reads 1"),
    "manifest_deep": (manifest_is(b"[" * 100_000), ManifestError, "manifest.json"),
    "manifest_huge": (manifest_is(b" " * 4_000_001), ManifestError, "more than 4000000 bytes, which no manifest has"),
    "no_version": (manifest_is(b"{}"), ManifestError, "got schema_version None, this runtime reads 1"),
    "version_0": (manifest_has(schema_version=0), ManifestError, "got schema_version 0, this runtime reads 1"),
    "version_2": (manifest_has(schema_version=2), ManifestError, "got schema_version 2, this runtime reads 1"),
    "version_text": (manifest_has(schema_version="1"), ManifestError, "got schema_version '1', this runtime reads 1"),
    "extra_key": (manifest_has(surprise=1), ManifestError, "surprise: Extra inputs are not permitted"),
    "wrong_task": (manifest_has(task="translation"), ManifestError, "task: Input should be 'classification' or"),
    "no_labels": (manifest_has(labels=[]), ManifestError, "labels: "),
    "same_label_twice": (manifest_has(labels=["happy"] * 6), ManifestError, "labels"),
    "missing_graph": (without_graph("visual"), ManifestError, r"graphs \['visual'\] are missing"),
    "unlisted_data": (graph_needs_an_unlisted_file, ManifestError, "graph audio needs other.bin, which files does not"),
    "graph_outside": (graph_needs_a_path_outside, BundleError, r"\.\./audio.onnx"),
    "window_of_nothing": (window_of_nothing, ManifestError, "window_s"),
    "file_missing": (
        lambda b: (b / "weights.bin").unlink(),
        MissingFileError,
        "weights.bin: listed in the manifest but",
    ),
    "truncated": (truncated_weights, AlteredFileError, r"weights.bin: \d+ bytes, the manifest says \d+"),
    "grown": (grown_graph, AlteredFileError, r"audio.onnx: \d+ bytes, the manifest says \d+"),
    "folder_for_a_file": (
        folder_for_a_file,
        AlteredFileError,
        r"weights.bin: \d+ bytes, the manifest says|not a regular",
    ),
    "climbing_path": (lists("../outside.bin"), UnsafePathError, r"bundle path '\.\./outside.bin': leaves the bundle"),
    "climbing_inside": (lists("encoders/../../x"), UnsafePathError, "leaves the bundle"),
    "absolute_path": (lists("/etc/passwd"), UnsafePathError, "bundle path '/etc/passwd': leaves the bundle"),
    "drive_path": (lists("C:\\x"), UnsafePathError, "leaves the bundle or is not a plain relative path"),
    "null_in_path": (lists("a\0b"), UnsafePathError, "leaves the bundle or is not a plain relative path"),
    "empty_path": (lists(""), UnsafePathError, "leaves the bundle or is not a plain relative path"),
    "link_that_leaves": (link_that_leaves, UnsafePathError, "weights.bin: a link that leaves the bundle"),
    "folder_link": (folder_link_that_leaves, UnsafePathError, r"encoders/\w+\.\w+: a link that leaves the bundle"),
    "link_to_itself": (link_to_itself, MissingFileError, "weights.bin: listed in the manifest but missing"),
}


@pytest.mark.parametrize("case", OPENING)
def test_bundle_is_refused_on_opening(case: str, bundle: Path) -> None:
    damage, expected, message = OPENING[case]
    damage(bundle)
    if expected is BundleError:
        with pytest.raises(BundleError, match=message):
            open_bundle(bundle)
    else:
        refused_when_opened(bundle, expected, message)


@pytest.mark.parametrize("case", OPENING)
def test_refused_bundle_is_one_line_and_exit_code_3(case: str, bundle: Path, tmp_path: Path) -> None:
    damage, expected, message = OPENING[case]
    damage(bundle)
    result = run_cli(tmp_path / "clip.wav", bundle)
    assert result.exit_code == expected.exit_code == 3, repr(result.exception)
    assert isinstance(result.exception, SystemExit)
    assert result.stdout == ""
    assert re.fullmatch(f"error: .*({message}).*\n", result.stderr)


def test_a_process_of_its_own_says_the_same(bundle: Path, tmp_path: Path) -> None:
    truncated_weights(bundle)
    command = [sys.executable, "-c", "from vavl_runtime.cli.run import main; main()", str(tmp_path / "clip.wav")]
    done = subprocess.run([*command, "--bundle", str(bundle)], capture_output=True, text=True, timeout=HANG_S)
    assert (done.returncode, done.stdout) == (3, "")
    assert re.fullmatch(r"error: .*weights.bin: \d+ bytes, the manifest says \d+; copy the bundle again\n", done.stderr)


@pytest.mark.parametrize("content", [b"", b"not a bundle", b"PK\x03\x04 nearly a zip"], ids=["empty", "text", "nearly"])
def test_file_that_is_no_bundle(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "file.vavl").write_bytes(content)
    refused_when_opened(tmp_path / "file.vavl", BundleNotFoundError, "neither a bundle folder nor a .vavl archive")


@pytest.mark.parametrize("name", ["missing", "nu\0ll", "x" * 300], ids=["missing", "null", "long"])
def test_nothing_there(name: str, tmp_path: Path) -> None:
    refused_when_opened(tmp_path / name, BundleNotFoundError, "no bundle there; pass --bundle")


def test_device_is_no_bundle() -> None:
    refused_when_opened(Path("/dev/null"), BundleNotFoundError, "no bundle there; pass --bundle")


OPEN_LIMITED = """
import resource, sys
from vavl_runtime import BundleError, open_bundle
resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
try:
    open_bundle(sys.argv[1])
except BundleError as error:
    print(error.kind)
"""


@pytest.mark.parametrize("kind", ["fifo", "device"])
def test_manifest_that_never_ends_is_not_read(kind: str, bundle: Path) -> None:
    """In a process of its own with little memory: a pipe would hang, /dev/zero would fill the machine."""
    (bundle / "manifest.json").unlink()
    if kind == "fifo":
        os.mkfifo(bundle / "manifest.json")
    else:
        (bundle / "manifest.json").symlink_to("/dev/zero")
    command = [sys.executable, "-c", OPEN_LIMITED, str(bundle)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANG_S)
    assert done.stderr == ""
    assert done.stdout.strip() in ("manifest", "unsafe_path")


# Refused when used ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["weights.bin", "audio.onnx", "encoders/audio_encoder.bin", "encoders/audio_encoder.onnx"]
)
@pytest.mark.parametrize("where", ["first", "middle", "last"])
def test_one_altered_byte_is_refused(path: str, where: str, bundle: Path) -> None:
    size = (bundle / path).stat().st_size
    flip(bundle / path, {"first": 0, "middle": size // 2, "last": size - 1}[where])
    refused_when_used(
        bundle, AlteredFileError, rf"{path}: sha256 is [0-9a-f]{{12}}…, the manifest says [0-9a-f]{{12}}…"
    )


def test_altered_weights_on_the_command_line(bundle: Path, tmp_path: Path) -> None:
    import wave

    flip(bundle / "weights.bin", 12_345)
    with wave.open(str(tmp_path / "clip.wav"), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes((np.asarray(SOUND.audio) * 32767).astype("<i2").tobytes())
    result = run_cli(tmp_path / "clip.wav", bundle)
    assert result.exit_code == 3
    assert isinstance(result.exception, SystemExit)
    lines = [line for line in result.stderr.splitlines() if "UNTRAINED" not in line]
    assert len(lines) == 1
    assert re.match(
        r"error: .*weights.bin: sha256 is .*, the manifest says .*; the file was altered or damaged", lines[0]
    )


def test_files_of_other_modalities_are_not_read(bundle: Path) -> None:
    """Hashes are checked on first use, so sound alone does not pay for the picture's files."""
    flip(bundle / "encoders" / "face_encoder.bin", 100)
    with Recognizer(bundle, threads=1) as recognizer:
        assert recognizer.predict(SOUND).path == "audio"
    with pytest.raises(AlteredFileError, match=r"face_encoder\.bin: sha256 is"):
        open_bundle(bundle).verify_all()


def test_file_that_disappears_after_opening(bundle: Path) -> None:
    with Recognizer(bundle, threads=1) as recognizer:
        (bundle / "weights.bin").unlink()
        with pytest.raises(MissingFileError, match=r"weights.bin: cannot be read \(No such file"):
            recognizer.predict(SOUND)


def test_undamaged_copy_is_verified(bundle: Path) -> None:
    opened = open_bundle(bundle)
    opened.verify_all()
    assert all(opened.graph_file(name).is_file() for name in opened.manifest.graphs)


@contextlib.contextmanager
def passing_copy(original: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=original.parent) as folder:
        yield link_copy(original, Path(folder) / "bundle")


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_flipped_byte_is_refused(data: st.DataObject, original: Path) -> None:
    """Flipping any byte of any listed file is refused by a full check, and when a graph that needs it is used."""
    manifest = json.loads((original / "manifest.json").read_text())
    path = data.draw(st.sampled_from(sorted(manifest["files"])))
    offset = data.draw(st.integers(0, manifest["files"][path]["bytes"] - 1))
    mask = data.draw(st.integers(1, 255))
    users = [name for name, graph in manifest["graphs"].items() if path in (graph["file"], graph["data"])]
    with passing_copy(original) as bundle:
        flip(bundle / path, offset, mask)
        with pytest.raises(AlteredFileError, match=re.escape(f"{path}: sha256 is")):
            open_bundle(bundle).verify_all()
        for name in users:
            with pytest.raises(AlteredFileError, match=re.escape(f"{path}: sha256 is")):
                open_bundle(bundle).graph_file(name)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_any_flipped_byte_of_the_manifest_never_breaks_out_of_the_tree(data: st.DataObject, original: Path) -> None:
    """The manifest has no hash of its own: a flipped byte is refused, or changes a value that is as valid."""
    size = (original / "manifest.json").stat().st_size
    offset, mask = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, 255))
    with passing_copy(original) as bundle:
        flip(bundle / "manifest.json", offset, mask)
        with contextlib.suppress(BundleError):
            opened = open_bundle(bundle)
            assert opened.sha256 != open_bundle(original).sha256
            opened.verify_all()


# Hostile graphs -------------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("hide", HIDDEN)
def test_graph_that_reads_outside_is_refused(hide: Callable[[str], bytes], bundle: Path) -> None:
    replace_graph(bundle, hide("../../etc/passwd"))
    message = r"audio.onnx: wants to read '\.\./\.\./etc/passwd', which the manifest does not list"
    refused_when_used(bundle, UnsafePathError, message)


@pytest.mark.parametrize("location", LOCATIONS)
def test_graph_that_reads_what_is_not_listed_is_refused(location: str, bundle: Path) -> None:
    (bundle / "unlisted.bin").write_bytes(bytes(16))
    (bundle.parent / "outside.bin").write_bytes(bytes(16))
    replace_graph(bundle, in_initializer(location))
    refused_when_used(bundle, UnsafePathError, f"wants to read {location!r}, which the manifest does not list")


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


# Archives -------------------------------------------------------------------------------------------------------


@pytest.fixture
def unpacked_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where archives are unpacked during the test."""
    folder = tmp_path / "unpacked"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_archive_answers_like_its_folder(archive: Path, recognizer: Recognizer, unpacked_here: Path) -> None:
    expected = recognizer.predict(SOUND)
    with Recognizer(archive, threads=1) as zipped:
        assert len(list(unpacked_here.iterdir())) == 1
        result = zipped.predict(SOUND)
        assert zipped.identity == recognizer.identity
    assert result.path == expected.path == "audio"
    assert result.scores == pytest.approx(expected.scores, abs=1e-6)
    assert list(unpacked_here.iterdir()) == []


def test_archive_is_verified_whole(archive: Path) -> None:
    bundle = open_bundle(archive)
    try:
        bundle.verify_all()
    finally:
        bundle.close()


def overwrite(at: float) -> Callable[[Path, Path], Path]:
    """Zero 64 bytes at a place, as a fraction of the archive's length."""

    def damage(archive: Path, place: Path) -> Path:
        content = bytearray(archive.read_bytes())
        start = int(len(content) * at)
        content[start : start + 64] = bytes(64)
        place.write_bytes(content)
        return place

    return damage


def overwrite_member(name: str) -> Callable[[Path, Path], Path]:
    """Break the compressed data of one member a little after its start."""

    def damage(archive: Path, place: Path) -> Path:
        content = bytearray(archive.read_bytes())
        with zipfile.ZipFile(archive) as opened:
            start = opened.getinfo(name).header_offset + 30 + len(name) + 40
        content[start : start + 200] = bytes(range(200))
        place.write_bytes(content)
        return place

    return damage


def cut(archive: Path, place: Path) -> Path:
    place.write_bytes(archive.read_bytes()[: archive.stat().st_size // 2])
    return place


def with_member(name: str) -> Callable[[Path, Path], Path]:
    def add(archive: Path, place: Path) -> Path:
        shutil.copy(archive, place)
        with zipfile.ZipFile(place, "a") as opened:
            opened.writestr(name, "evil")
        return place

    return add


def repacked(change: Callable[[Path], object]) -> Callable[[Path, Path], Path]:
    """Unpack, change, pack."""

    def pack(archive: Path, place: Path) -> Path:
        folder = place.with_suffix("")
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(folder)
        change(folder)
        return zip_folder(folder, place)

    return pack


def file_and_folder_of_one_name(archive: Path, place: Path) -> Path:
    folder = place.with_suffix("")
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(folder)
    list_file(folder, "clash", b"x")
    list_file(folder, "clash/inside", b"x")
    zip_folder(folder, place)
    with zipfile.ZipFile(place, "a") as opened:
        opened.writestr("clash", "x")
        opened.writestr("clash/inside", "x")
    return place


ARCHIVES: dict[str, tuple[Callable[[Path, Path], Path], type[BundleError], str]] = {
    "start": (overwrite(0), AlteredFileError, "damaged archive .*; copy the bundle again"),
    "first_member": (overwrite(0.0005), AlteredFileError, "damaged archive"),
    "middle": (overwrite(0.5), AlteredFileError, "damaged archive"),
    "near_the_end": (overwrite(0.99), AlteredFileError, "damaged archive"),
    "manifest_data": (overwrite_member("manifest.json"), AlteredFileError, "damaged archive"),
    "graph_data": (overwrite_member("audio.onnx"), AlteredFileError, "damaged archive"),
    "cut": (cut, BundleNotFoundError, "neither a bundle folder nor a .vavl archive"),
    "encrypted": (lambda a, p: patch_zip(a, p, flag=1), AlteredFileError, "damaged archive|encrypted"),
    "strong_encryption": (lambda a, p: patch_zip(a, p, flag=64), AlteredFileError, "damaged archive|encrypt"),
    "unknown_method": (lambda a, p: patch_zip(a, p, method=99), AlteredFileError, "damaged archive|compression"),
    "wrong_method": (lambda a, p: patch_zip(a, p, method=12), AlteredFileError, "damaged archive|compression"),
    "evil_member": (with_member("../evil"), UnsafePathError, r"bundle path '\.\./evil': leaves the bundle"),
    "absolute_member": (with_member("/evil"), UnsafePathError, "bundle path '/evil': leaves the bundle"),
    "no_manifest": (
        repacked(lambda f: (f / "manifest.json").unlink()),
        ManifestError,
        "no manifest.json of a sane size",
    ),
    "bad_manifest": (repacked(manifest_is(b"{")), ManifestError, "not JSON"),
    "huge_manifest": (repacked(manifest_is(b" " * 4_000_001)), ManifestError, "no manifest.json of a sane size"),
    "member_missing": (repacked(lambda f: (f / "weights.bin").unlink()), MissingFileError, "weights.bin is listed in"),
    "another_size": (repacked(truncated_weights), AlteredFileError, "weights.bin has another size than the manifest"),
    "clash": (file_and_folder_of_one_name, BundleError, "clash"),
}


@pytest.mark.parametrize("case", ARCHIVES)
def test_bad_archive_is_refused_and_leaves_nothing(
    case: str, archive: Path, tmp_path: Path, unpacked_here: Path
) -> None:
    damage, expected, message = ARCHIVES[case]
    place = damage(archive, tmp_path / "bad.vavl")
    with pytest.raises(BundleError, match=message) as caught:
        open_bundle(place).close()
    assert isinstance(caught.value, expected)
    assert expected is BundleError or type(caught.value) is expected
    assert list(unpacked_here.iterdir()) == []
    assert not (tmp_path / "evil").exists()
    result = run_cli(tmp_path / "clip.wav", place)
    assert (result.exit_code, result.stdout) == (3, "")
    assert re.fullmatch(f"error: .*({message}).*\n", result.stderr)


def test_altered_member_of_the_right_size(archive: Path, tmp_path: Path) -> None:
    place = repacked(lambda folder: flip(folder / "weights.bin", 7))(archive, tmp_path / "altered.vavl")
    refused_when_used(place, AlteredFileError, "weights.bin: sha256 is")


def test_unlisted_members_stay_packed(archive: Path, tmp_path: Path, unpacked_here: Path) -> None:
    opened = open_bundle(with_member("extra/bomb.bin")(archive, tmp_path / "extra.vavl"))
    try:
        assert not list(unpacked_here.rglob("bomb.bin"))
        assert list(unpacked_here.rglob("weights.bin"))
    finally:
        opened.close()

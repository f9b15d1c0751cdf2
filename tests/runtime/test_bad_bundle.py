"""A bundle folder whose manifest, paths or sizes are wrong is refused on opening, each way with its exception."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.runtime.command_line import run_apart, run_cli
from tests.runtime.damaged_bundles import (
    Damage,
    edit_manifest,
    list_file,
    manifest_is,
    refused_when_opened,
    rewrite,
    truncated_weights,
)
from vavl_runtime.errors import (
    AlteredFileError,
    BundleError,
    BundleNotFoundError,
    ManifestError,
    MissingFileError,
    UnsafePathError,
)

HANG_S = 30


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


def recipe_has(**values: object) -> Damage:
    return lambda bundle: edit_manifest(bundle, lambda manifest: manifest["crop"].update(values))


def limits_are(**values: object) -> Damage:
    return lambda bundle: edit_manifest(bundle, lambda manifest: manifest["limits"].update(values))


def key_twice(bundle: Path) -> None:
    content = (bundle / "manifest.json").read_bytes()
    rewrite(bundle / "manifest.json", content.replace(b"{", b'{"name": "other", ', 1))


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
    "missing_folder": (shutil.rmtree, BundleNotFoundError, "no bundle there; name a folder"),
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
    "many_labels": (manifest_has(labels=[str(n) for n in range(1001)]), ManifestError, "labels: .*at most 1000"),
    "control_in_label": (manifest_has(labels=["a\x1b[2J"]), ManifestError, "labels.0: .*holds control characters"),
    "control_in_name": (manifest_has(name="light\r"), ManifestError, "name: .*holds control characters"),
    "threshold_below_0": (recipe_has(thresholds=[-1, 0.7, 0.7]), ManifestError, "crop.thresholds.0"),
    "threshold_0": (recipe_has(thresholds=[0, 0, 0]), ManifestError, "crop.thresholds.0"),
    "min_face": (recipe_has(min_face=10**9), ManifestError, "crop.min_face"),
    "detect_max_side": (recipe_has(detect_max_side=10**9), ManifestError, "crop.detect_max_side"),
    "max_frame_pixels": (limits_are(max_frame_pixels=10**12), ManifestError, "limits.max_frame_pixels"),
    "silence": (limits_are(silence_dbfs=-1e300), ManifestError, "limits.silence_dbfs"),
    "key_twice": (key_twice, ManifestError, "not JSON .*key 'name' stands there twice"),
    "missing_graph": (without_graph("visual"), ManifestError, r"graphs \['visual'\] are missing"),
    "unlisted_data": (graph_needs_an_unlisted_file, ManifestError, "graph audio needs other.bin, which files does not"),
    "graph_outside": (graph_needs_a_path_outside, ManifestError, r"\.\./audio.onnx"),
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
    refused_when_opened(bundle, expected, message)


@pytest.mark.parametrize("case", OPENING)
def test_refused_bundle_is_one_line_and_exit_code_3(case: str, bundle: Path, tmp_path: Path) -> None:
    damage, expected, message = OPENING[case]
    damage(bundle)
    result = run_cli(tmp_path / "clip.wav", "--bundle", bundle)
    assert result.exit_code == expected.exit_code == 3, repr(result.exception)
    assert isinstance(result.exception, SystemExit)
    assert result.stdout == ""
    assert re.fullmatch(f"error: .*({message}).*\n", result.stderr)


def test_a_process_of_its_own_says_the_same(bundle: Path, tmp_path: Path) -> None:
    truncated_weights(bundle)
    done = run_apart(tmp_path / "clip.wav", "--bundle", bundle, timeout_s=HANG_S)
    assert (done.returncode, done.stdout) == (3, "")
    assert re.fullmatch(r"error: .*weights.bin: \d+ bytes, the manifest says \d+; copy the bundle again\n", done.stderr)


@pytest.mark.parametrize("content", [b"", b"not a bundle", b"PK\x03\x04 nearly a zip"], ids=["empty", "text", "nearly"])
def test_file_that_is_no_bundle(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "file.vavl").write_bytes(content)
    refused_when_opened(tmp_path / "file.vavl", BundleNotFoundError, "neither a bundle folder nor a .vavl archive")


@pytest.mark.parametrize(
    "name", ["missing", "nu\0ll", "x" * 300, "/dev/null"], ids=["missing", "null", "long", "device"]
)
def test_nothing_there(name: str, tmp_path: Path) -> None:
    refused_when_opened(tmp_path / name, BundleNotFoundError, "no bundle there; name a folder")


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

"""Weights stand once in each precision, among the paths that have it."""

import shutil
from pathlib import Path

import onnx
import pytest

from tests.export.made_bundles import manifest, write_manifest
from vavl_export.bundle_files import BundleFiles
from vavl_export.checks import Check, bundle_checks
from vavl_export.weights import WeightFiles
from vavl_runtime import open_bundle

PATHS = ("audio", "visual", "audio_visual")
SHARED = "weights.fp16.bin"


def _store(lowered: Path, folder: Path, stored: dict[str, str]) -> Path:
    """Copy a bundle and store the fp16 weights of some paths anew, each in its file; the others stay fp32."""
    shutil.copytree(lowered, folder)
    models = {path: onnx.load(folder / f"{path}.fp16.onnx") for path in stored}
    for file in (SHARED, *(f"{path}.fp16.onnx" for path in PATHS)):
        (folder / file).unlink()
    weights, content = WeightFiles(BundleFiles(folder)), manifest(folder)
    for path in PATHS:
        graph = content["graphs"][path]
        if path in stored:
            weights.externalize(models[path], f"{path}.fp16.onnx", stored[path])
            (folder / f"{path}.fp16.onnx").write_bytes(models[path].SerializeToString())
            graph["variants"]["fp16"]["data"] = stored[path]
        else:
            graph["variants"]["fp16"] = {"file": graph["file"], "data": graph["data"]}
    write_manifest(folder, content)
    return folder


def _check(folder: Path) -> Check:
    with open_bundle(folder) as bundle:
        return next(check for check in bundle_checks(bundle) if check.name == "weights stored once fp16")


@pytest.mark.parametrize(
    ("stored", "detail"),
    [
        (dict.fromkeys(PATHS, SHARED), "audio, visual, audio_visual store "),
        (dict.fromkeys(("audio", "visual"), SHARED), "audio, visual store "),
        (dict.fromkeys(("audio", "audio_visual"), SHARED), "audio, audio_visual store "),
        ({"visual": SHARED}, "visual store "),
        ({}, "audio, visual, audio_visual stay fp32"),
    ],
)
def test_paths_that_share_pass(half_bundle: Path, tmp_path: Path, stored: dict[str, str], detail: str) -> None:
    check = _check(_store(half_bundle, tmp_path / "light", stored))
    assert check.passed and check.detail.startswith(detail), check
    rest = [path for path in PATHS if path not in stored]
    assert not stored or check.detail.endswith(f"; fp32: {', '.join(rest)}" if rest else "audio_visual")


@pytest.mark.parametrize("rest", [(), ("audio",), ("audio_visual",)])
def test_paths_that_do_not_share_fail_whoever_stays_fp32(
    half_bundle: Path, tmp_path: Path, rest: tuple[str, ...]
) -> None:
    """Each has a file of its own, though both have the shared layers."""
    stored = {path: f"{path}.fp16.bin" for path in PATHS if path not in rest}
    check = _check(_store(half_bundle, tmp_path / "light", stored))
    assert not check.passed
    assert check.detail.startswith(", ".join(stored) + " store ") and "at most 1.05 expected" in check.detail


def test_weights_that_nobody_reads_fail(half_bundle: Path, tmp_path: Path) -> None:
    folder = _store(half_bundle, tmp_path / "light", dict.fromkeys(("audio", "visual"), SHARED))
    with (folder / SHARED).open("ab") as file:
        file.write(bytes((folder / SHARED).stat().st_size))
    write_manifest(folder, manifest(folder))
    assert not _check(folder).passed

"""Damaged bundles. What their own hashes would refuse is also tried with a manifest that vouches for the damage."""

import contextlib
import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from skimage import data

from tests.fuzz.bundle_seeds import (
    KEY,
    archive_seeds,
    golden_seeds,
    graph_seeds,
    manifest_seeds,
    signature_seeds,
    small_bundle,
    weight_seeds,
)
from tests.fuzz.mutations import Seed
from tests.fuzz.target import Check, Target
from vavl_runtime import ArrayClip, Recognizer, open_bundle
from vavl_runtime.backends.fake import FakeBackend
from vavl_runtime.backends.ort.cpu import OnnxRuntimeBackend
from vavl_runtime.bundle import PACKAGED_BUNDLE, Bundle
from vavl_runtime.bundle.golden import require_golden_cases
from vavl_runtime.bundle.manifest import FILE_NAME, FileRecord
from vavl_runtime.bundle.onnx_reader import read_onnx
from vavl_runtime.bundle.signature import SIGNATURE_NAME
from vavl_runtime.errors import UnsafeGraphError
from vavl_runtime.pipeline.graph_runner import GraphRunner
from vavl_runtime.pipeline.self_test import check_graphs
from vavl_runtime.timing import StageTimer

_CLIP = ArrayClip(
    audio=np.sin(np.arange(24_000) * 0.09).astype(np.float32) * np.float32(0.4),
    frames=np.full((6, 64, 64, 3), 99, np.uint8),
    fps=25.0,
)


def write_small_bundle(folder: Path) -> Path:
    """Write the small bundle."""
    for path, content in small_bundle().items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


def _manifest(folder: Path) -> Check:
    write_small_bundle(folder)

    def check(seed: Seed, content: bytes) -> None:
        (folder / FILE_NAME).write_bytes(content)
        with Recognizer(folder, FakeBackend()) as recognizer:
            recognizer.predict(_CLIP)

    return check


def _archive(folder: Path) -> Check:
    unpacked = folder / "unpacked"
    unpacked.mkdir()

    def check(seed: Seed, content: bytes) -> None:
        place = folder / "damaged.vavl"
        place.write_bytes(content)
        try:
            with patch.object(tempfile, "tempdir", str(unpacked)), open_bundle(place) as bundle:
                bundle.verify_all()
        finally:
            left = [path.name for path in (*unpacked.iterdir(), *folder.iterdir())]
            assert sorted(left) == ["damaged.vavl", "unpacked"], f"left behind: {left}"

    return check


def _walker(folder: Path) -> Check:
    def check(seed: Seed, content: bytes) -> None:
        try:
            found = read_onnx(content)
        except ValueError as error:
            raise UnsafeGraphError(str(error)) from error
        model = onnx.ModelProto()
        try:
            model.ParseFromString(content)
        except DecodeError:  # no runtime reads it either
            return
        tensors = [*model.graph.initializer]
        tensors += [field.t for node in model.graph.node for field in node.attribute if field.HasField("t")]
        files = {entry.value for tensor in tensors for entry in tensor.external_data if entry.key == "location"}
        assert found.external_files == files, f"reads {found.external_files}, protobuf reads {files}"

    return check


def _copied_bundle(folder: Path) -> Bundle:
    shutil.copytree(PACKAGED_BUNDLE, folder / "light")
    return open_bundle(folder / "light")


@contextlib.contextmanager
def _vouched(bundle: Bundle, path: str, content: bytes) -> Iterator[Bundle]:
    """The bundle with another file for a while, which its manifest lists as it is."""
    original = (bundle.root / path).read_bytes()
    record = FileRecord(bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
    manifest = bundle.manifest.model_copy(update={"files": {**bundle.manifest.files, path: record}})
    (bundle.root / path).write_bytes(content)
    try:
        yield Bundle(bundle.root, manifest, bundle.sha256)
    finally:
        (bundle.root / path).write_bytes(original)


def _running(folder: Path) -> Check:
    """Runs a graph of which a file is damaged, on its first golden vector, and then a clip through all of them."""
    original = _copied_bundle(folder)
    inputs = {name: require_golden_cases(original, name)[0][0] for name in original.manifest.graphs}
    face = replace(_CLIP, frames=data.astronaut()[None, :256:2, 100:356:2])
    graph_of = {path: name for name, graph in original.manifest.graphs.items() for path in (graph.file, graph.data)}

    def check(seed: Seed, content: bytes) -> None:
        name = graph_of[seed.kind]
        with _vouched(original, seed.kind, content) as bundle:
            outputs = GraphRunner(bundle, OnnxRuntimeBackend(threads=1)).run(name, inputs[name], StageTimer())
            assert all(np.isfinite(value).all() for value in outputs.values()), "an answer that is not finite"
            with Recognizer(bundle, OnnxRuntimeBackend(threads=1)) as recognizer:
                result = recognizer.predict(face)
        assert all(np.isfinite(value) for value in result.scores.values()), "scores that are not finite"

    return check


def _golden(folder: Path) -> Check:
    original = _copied_bundle(folder)
    graphs = GraphRunner(original, OnnxRuntimeBackend(threads=1))

    def check(seed: Seed, content: bytes) -> None:
        with _vouched(original, seed.kind, content) as graphs.bundle:
            assert str(next(iter(check_graphs(graphs))))  # the first graph is the one whose vectors are damaged

    return check


def _signature(folder: Path) -> Check:
    bundle, keys = write_small_bundle(folder / "bundle"), folder / "keys"
    keys.mkdir()

    def check(seed: Seed, content: bytes) -> None:
        for good in signature_seeds():
            place = keys / KEY if good.kind == KEY else bundle / SIGNATURE_NAME
            place.write_bytes(content if good.kind == seed.kind else good.content)
        open_bundle(bundle, trusted_keys=keys).close()
        assert seed.kind == KEY or content == seed.content, "a signature that nobody made is accepted"

    return check


MANIFEST = Target("manifest", "bundle: manifest", 6_000, manifest_seeds, _manifest)
ARCHIVE = Target("archive", "bundle: archive", 5_000, archive_seeds, _archive)
WALKER = Target("walker", "bundle: graph, the reader alone", 4_000, graph_seeds, _walker)
GRAPH = Target("graph", "bundle: graph, vouched for and run", 4_000, graph_seeds, _running)
WEIGHTS = Target("weights", "bundle: weights, vouched for and run", 2_000, weight_seeds, _running)
GOLDEN = Target("golden", "bundle: golden vectors, vouched for", 3_000, golden_seeds, _golden)
SIGNATURE = Target("signature", "bundle: signature and key", 2_000, signature_seeds, _signature)

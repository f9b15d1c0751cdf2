"""Exports a preset with weights from a seed, and keeps of it what `benchmarks.gpu.weights` needs to make it again."""

import hashlib
import json
import lzma
import shutil
import tempfile
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from benchmarks.ceiling import operations
from benchmarks.gpu.networks import Networks, build_networks, calibrate, fill, plan_weights
from benchmarks.gpu.plan import LENGTHS_S
from benchmarks.gpu.weights import LITERALS, RECIPE, Drawn, draw, split_bytes
from vavl.checkpoint import CheckpointDescription
from vavl.encoders.folder import save_encoder
from vavl_bench.inputs import graph_inputs, noise_faces
from vavl_export.bundle_writer import write_bundle
from vavl_export.precision.variants import VariantRequest
from vavl_export.progress import Progress
from vavl_export.request import ExportRequest
from vavl_runtime.bundle import PACKAGED_BUNDLE, open_bundle
from vavl_runtime.bundle.manifest import FILE_NAME

MOST_LITERAL_BYTES = 8 << 20  # before compression; most are the tables of relative positions
CALIBRATION_FACES = 8
SPARED = ("*.1.npz", "*_fused.0.npz")  # golden vectors that no recogniser warms up with
Source = tuple[str, tuple[int, ...]]  # a parameter, and the axes in the order in which it is stored


def pack_structures(preset: str, folder: Path, progress: Progress) -> None:
    """Export a preset in fp32 and fp16, fused graphs included, and write its graphs with their recipe.

    The export compares every graph with PyTorch, weights of this very seed inside: this and the hashes in the manifest
    establish that what is filled in elsewhere is what PyTorch computes.

    Args:
        preset: One of `benchmarks.gpu.networks.PRESETS`.
        folder: Folder to write.
        progress: Called with a line of text at each step.
    """
    networks = build_networks(preset)
    planned = plan_weights(networks)
    fill(networks, planned)
    planned = calibrate(networks, planned, torch.from_numpy(noise_faces(CALIBRATION_FACES)))
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        save_encoder(networks.audio, place / "audio")
        save_encoder(networks.face, place / "face")
        description = CheckpointDescription(
            model=networks.model.config,
            audio_encoder=str(place / "audio"),
            face_encoder=str(place / "face"),
            trained=False,
            provenance=f"weights drawn from a seed, preset {preset}",
        )
        variants = VariantRequest(("fp32", "fp16"), allow_drift=True)
        request = ExportRequest(networks.model, description, preset, fused=True, variants=variants)
        write_bundle(request, place / "bundle", progress=progress)
        write_recipe(place / "bundle", planned, folder, count_work(networks, place / "bundle"))


def count_work(networks: Networks, bundle: Path) -> dict[str, dict[str, int]]:
    """Operations of one clip in each graph by length, of one face in the face encoder, and weights of each graph."""
    counted: dict[str, dict[str, int]] = {}
    with open_bundle(bundle) as opened:
        records = opened.manifest.graphs
    for name, module in networks.graphs().items():
        counted[name] = {"weights": sum(weight.numel() for weight in module.parameters())}
        for seconds in LENGTHS_S:
            inputs = graph_inputs(name, records[name], 1, seconds)
            counted[name][f"{seconds:g}"] = operations(module, [inputs[value.name] for value in records[name].inputs])
    return counted


def write_recipe(bundle: Path, planned: dict[str, Drawn], folder: Path, work: dict[str, dict[str, int]]) -> None:
    """Write a bundle without its weight files, and the recipe that makes them again.

    Args:
        bundle: An exported bundle.
        planned: How the parameters that it was exported from are drawn.
        folder: Folder to write.
        work: Of `count_work`, which travels along.

    Raises:
        ValueError: More than `MOST_LITERAL_BYTES` of its weights are no parameters, transposed or joined.
    """
    with open_bundle(bundle) as opened:
        files = opened.manifest.files
    with open_bundle(PACKAGED_BUNDLE) as packaged:
        originals = {record.sha256: path for path, record in packaged.manifest.files.items()}
    data = {path for path in files if path.endswith(".bin")}
    copies = {path: originals[files[path].sha256] for path in data if files[path].sha256 in originals}
    shutil.copytree(bundle, folder, ignore=shutil.ignore_patterns("*.bin", *SPARED))
    manifest = json.loads((bundle / FILE_NAME).read_text("utf-8"))
    manifest["files"] = {
        path: entry for path, entry in manifest["files"].items() if not any(Path(path).match(name) for name in SPARED)
    }
    (folder / FILE_NAME).write_text(json.dumps(manifest), "utf-8")
    sources, literals, pieces = _sources(planned), bytearray(), []
    kept: dict[bytes, list[Any]] = {}  # by hash, in fp32 and rounded to fp16
    tensors = sorted(_tensors(bundle, data - copies.keys()), key=lambda found: -found[2].itemsize)
    for path, offset, content in tensors:
        found = _find(content, sources)
        if found is None:
            digest = _digest(content)
            if digest not in kept:
                kept[digest] = [len(literals), content.nbytes, content.dtype.name]
                if content.dtype == np.float32:
                    kept[_digest(content.astype(np.float16))] = kept[digest]
                literals += split_bytes(content)
            found = {"literal": kept[digest]}
        pieces.append({"file": path, "offset": offset, "dtype": content.dtype.name, **found})
    if len(literals) > MOST_LITERAL_BYTES:
        largest = max((piece for piece in pieces if "literal" in piece), key=lambda piece: piece["literal"][1])
        raise ValueError(
            f"{len(literals)} bytes of weights are no parameters, expected at most {MOST_LITERAL_BYTES}; the largest "
            f"is at {largest['offset']} in {largest['file']}: teach `_find` how it is made"
        )
    (folder / LITERALS).write_bytes(lzma.compress(literals, preset=9))
    recipe = {
        "parameters": {name: list(drawn) for name, drawn in planned.items()},
        "files": {path: files[path].bytes for path in sorted(data - copies.keys())},
        "copies": copies,
        "pieces": pieces,
        "work": work,
    }
    (folder / RECIPE).write_text(json.dumps(recipe), "utf-8")


def _tensors(bundle: Path, files: set[str]) -> Iterator[tuple[str, int, NDArray[Any]]]:
    """Each tensor of the weight files once: its file, its offset and its values."""
    seen = set()
    for graph in sorted(bundle.rglob("*.onnx")):
        for tensor in onnx.load(graph, load_external_data=False).graph.initializer:
            entries = {entry.key: entry.value for entry in tensor.external_data}
            if not entries:
                continue
            path = (graph.parent / entries["location"]).resolve().relative_to(bundle.resolve()).as_posix()
            key = path, int(entries["offset"])
            if path in files and key not in seen:
                seen.add(key)
                dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
                content = np.memmap(bundle / path, dtype, "r", key[1], tuple(tensor.dims))
                yield path, key[1], content


def _sources(planned: dict[str, Drawn]) -> dict[bytes, Source]:
    """Parameters by the hash of their values, as they are and transposed, in fp32 and in fp16."""
    sources: dict[bytes, Source] = {}
    for name, drawn in planned.items():
        values = draw(name, drawn)
        orders = permutations(range(values.ndim)) if values.ndim <= 2 else [tuple(range(values.ndim))]
        for axes in orders:
            for dtype in (np.float32, np.float16):
                sources.setdefault(_digest(values.transpose(axes).astype(dtype)), (name, axes))
    return sources


def _find(content: NDArray[Any], sources: dict[bytes, Source]) -> dict[str, Any] | None:
    """How a tensor is made of parameters: of one, or of two to four side by side, as in packed attention."""
    if source := sources.get(_digest(content)):
        return {"parts": [source]}
    for axis, size in enumerate(content.shape):
        for count in (2, 3, 4):
            if size % count == 0:
                found = [sources.get(_digest(part)) for part in np.split(content, count, axis)]
                if all(found):
                    return {"parts": found, "axis": axis}
    return None


def _digest(values: NDArray[Any]) -> bytes:
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).digest()

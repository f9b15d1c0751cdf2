"""Graphs of a bundle in a folder, fused ones included, with what is needed to run them."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from vavl_runtime.bundle import open_bundle
from vavl_runtime.bundle.manifest import GraphRecord, TensorRecord
from vavl_runtime.bundle.precision import VARIANT_GRAPHS

_PLAN = "structures.json"
# Sizes of the free axes of the smallest run; the n-th run has n times as much of what the axis counts.
_SIZES = {
    "samples_padded": 8_000,
    "audio_tokens": 20,
    "visual_tokens": 10,
    "faces": 2,
    "boxes": 2,
    "height": 24,
    "width": 24,
}


@dataclass(frozen=True)
class Structure:
    """One graph.

    Attributes:
        name: Its name with the precision.
        file: Its file, relative to the folder.
        record: Its signature.
    """

    name: str
    file: str
    record: GraphRecord


def write_structures(bundle: Path, folder: Path) -> None:
    """Copy a bundle's graphs in fp32 and fp16 and compose the fused ones.

    A bundle without fp16 graphs is converted here as the export does it, but without looking for tensors that overflow:
    that takes minutes for a paper-sized bundle, and changes few operators.

    Args:
        bundle: The bundle.
        folder: An empty folder.
    """
    import onnx

    from vavl_export.fused import FUSED, fuse_path, fused_name

    structures: list[Structure] = []
    with open_bundle(bundle) as opened:
        manifest = opened.manifest
        # Copied, not linked: onnx and ONNX Runtime refuse weight files that are linked in either way.
        shutil.copytree(opened.root, folder, dirs_exist_ok=True)
    for precision in ("fp32", "fp16"):
        models: dict[str, Any] = {}
        for name, graph in manifest.graphs.items():
            if name.endswith("_fused") or (precision == "fp16" and name not in VARIANT_GRAPHS):
                continue
            if precision == "fp32" or "fp16" in graph.variants:
                record = graph.in_precision(precision)  # type: ignore[arg-type]
            else:
                record = _convert(folder, graph)
            structures.append(Structure(f"{name}-{precision}", record.file, record))
            models[name] = _relative(onnx.load(folder / record.file, load_external_data=False), record.file)
        for path in FUSED:
            # onnx would look for weight files, from the current folder; only the structure is composed here.
            with patch("onnx.checker.check_model"):
                model = fuse_path(path, models)
            file = f"{fused_name(path)}.{precision}.onnx"
            onnx.save(model, folder / file)
            structures.append(Structure(f"{fused_name(path)}-{precision}", file, _record(model, file)))
    plan = [{"name": one.name, "file": one.file, "record": one.record.model_dump(mode="json")} for one in structures]
    (folder / _PLAN).write_text(json.dumps(plan))


def read_structures(folder: Path) -> list[Structure]:
    """Read what `write_structures` wrote."""
    plan = json.loads((folder / _PLAN).read_text())
    return [Structure(one["name"], one["file"], GraphRecord.model_validate(one["record"])) for one in plan]


def made_inputs(structure: Structure, size: int) -> dict[str, NDArray[Any]]:
    """Inputs for a graph.

    Args:
        structure: The graph.
        size: 1 for the smallest shapes; each number has shapes of its own.

    Returns:
        Inputs by name; lengths are as long as the sequences.
    """
    inputs: dict[str, NDArray[Any]] = {}
    longest = 1
    for tensor in structure.record.inputs:
        # Axes without a size, such as the batch, stay 1.
        shape = [axis if isinstance(axis, int) else _SIZES.get(axis, 0) * size or 1 for axis in tensor.shape]
        if len(shape) == 1:
            inputs[tensor.name] = np.full(shape, longest, tensor.dtype)
        else:
            inputs[tensor.name] = np.ones(shape, tensor.dtype)
            longest = shape[1]
    return inputs


def _convert(folder: Path, graph: GraphRecord) -> GraphRecord:
    import onnx

    from vavl_export.precision.half_conversion import convert_to_half

    file = Path(graph.file).with_suffix(".fp16.onnx")
    data = f"{file.stem}.bin"
    model = convert_to_half(onnx.load(folder / graph.file), "fp16")
    onnx.save(model, folder / file, save_as_external_data=True, location=data)
    return graph.model_copy(update={"file": str(file), "data": data, "precision": "fp16", "variants": {}})


def _relative(model: Any, file: str) -> Any:
    """Name weight files as they are seen from the folder, where the fused graphs lie."""
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = str(Path(file).parent / entry.value)
    return model


def _record(model: Any, file: str) -> GraphRecord:
    import onnx

    def tensors(values: Any) -> tuple[TensorRecord, ...]:
        made = []
        for value in values:
            kind = value.type.tensor_type
            shape = tuple(d.dim_param or d.dim_value for d in kind.shape.dim)
            dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type)).name
            made.append(TensorRecord(name=value.name, dtype=dtype, shape=shape))
        return tuple(made)

    return GraphRecord(
        file=file,
        data="weights.bin",
        precision="fp32",
        inputs=tensors(model.graph.input),
        outputs=tensors(model.graph.output),
    )

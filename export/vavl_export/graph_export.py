"""First stage of an export: graphs and weights are written to the bundle."""

from collections.abc import Sequence
from dataclasses import dataclass

import onnx
from onnx import TensorProto

from vavl_export.bundle_files import BundleFiles
from vavl_export.fused import FUSED, fuse_path, fused_name, fused_spec
from vavl_export.graph_specs import GraphSpec
from vavl_export.progress import Progress
from vavl_export.to_onnx import export_graph
from vavl_export.weights import WeightFiles
from vavl_runtime.bundle.manifest import GraphRecord, TensorRecord

_DTYPES = {
    TensorProto.FLOAT: "float32",
    TensorProto.FLOAT16: "float16",
    TensorProto.INT64: "int64",
    TensorProto.UINT8: "uint8",
}


@dataclass(frozen=True)
class ExportedGraph:
    """A graph that was written to the bundle.

    Attributes:
        spec: What it was exported from.
        model: The graph; its large weights are in the bundle's data files.
        record: How the manifest describes it.
    """

    spec: GraphSpec
    model: onnx.ModelProto
    record: GraphRecord


def export_graphs(
    specs: Sequence[GraphSpec], files: BundleFiles, progress: Progress, *, fused: bool = False
) -> list[ExportedGraph]:
    """Export graphs and write them with their weights; tensors that several paths share are stored once.

    Args:
        specs: The graphs of the bundle.
        files: Takes the graphs and their data files.
        progress: Called with a line of text for each graph.
        fused: Also compose the end-to-end graphs.

    Returns:
        The graphs in order, fused ones last.

    Raises:
        ExportError: PyTorch's exporter refuses a module.
        OutputError: A file cannot be written.
    """
    weights = WeightFiles(files)
    exported: list[ExportedGraph] = []
    whole: dict[str, onnx.ModelProto] = {}  # graphs with their weights inside, to compose the fused ones from
    for spec in specs:
        progress(f"exporting {spec.name}")
        model = export_graph(spec)
        if fused and not spec.file.startswith("detector/"):
            whole[spec.name] = onnx.ModelProto.FromString(model.SerializeToString())
        exported.append(_write(spec, model, spec.data, weights, files))
    by_name = {spec.name: spec for spec in specs}
    for path in FUSED if fused else ():
        progress(f"composing {fused_name(path)}")
        exported.append(_write(fused_spec(path, by_name), fuse_path(path, whole), None, weights, files))
    return exported


def _write(
    spec: GraphSpec, model: onnx.ModelProto, data: str | None, weights: WeightFiles, files: BundleFiles
) -> ExportedGraph:
    weights.externalize(model, spec.file, data)
    files.write(spec.file, model.SerializeToString(deterministic=True))
    record = GraphRecord(
        file=spec.file,
        data=spec.data,
        precision="fp32",
        inputs=tuple(_signature(value) for value in model.graph.input),
        outputs=tuple(_signature(value) for value in model.graph.output),
    )
    return ExportedGraph(spec, model, record)


def _signature(value: onnx.ValueInfoProto) -> TensorRecord:
    tensor = value.type.tensor_type
    shape = tuple(dim.dim_param or dim.dim_value for dim in tensor.shape.dim)
    return TensorRecord.model_validate({"name": value.name, "dtype": _DTYPES[tensor.elem_type], "shape": shape})

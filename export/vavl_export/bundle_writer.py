"""Writes a bundle: exports each graph, shares weights, checks parity, records golden vectors, signs with hashes."""

import hashlib
import platform
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import onnx
import onnxruntime as ort
import torch
from onnx import TensorProto
from pydantic import ValidationError

from vavl.checkpoint import CheckpointDescription
from vavl.encoders import load_audio_encoder, load_face_encoder
from vavl.encoders.base import AudioEncoder, FaceEncoder, LoadedEncoder
from vavl.encoders.mtcnn import load_mtcnn
from vavl.errors import ConfigError
from vavl.model import Vavl
from vavl_export import golden
from vavl_export.file_hashes import list_files
from vavl_export.fused import FUSED, fuse_path, fused_name, fused_plan
from vavl_export.graph_lint import check_rules
from vavl_export.graph_specs import GraphPlan, detector_plans, encoder_plans, path_plans
from vavl_export.precision.variants import VariantRequest, add_variants
from vavl_export.to_onnx import export_graph
from vavl_export.weights import WeightFiles
from vavl_runtime._version import __version__
from vavl_runtime.bundle.manifest import (
    FILE_NAME,
    SCHEMA_VERSION,
    CropRecipe,
    EncoderRecord,
    GraphRecord,
    Limits,
    Manifest,
    TensorRecord,
)
from vavl_runtime.files import file_beside, folder_beside, write_atomically

Progress = Callable[[str], None]
DTYPES = {
    TensorProto.FLOAT: "float32",
    TensorProto.FLOAT16: "float16",
    TensorProto.INT64: "int64",
    TensorProto.UINT8: "uint8",
}


@dataclass(frozen=True)
class ExportRequest:
    """What to export.

    Attributes:
        model: The VAVL model.
        description: Its configuration and encoder references.
        name: Short name of the bundle.
        fused: Also write end-to-end graphs.
        variants: Which lower precisions to write beside fp32.
        crop: Face detection and crop recipe.
        limits: Bounds; token and sample limits are taken from the model and the encoder.
    """

    model: Vavl
    description: CheckpointDescription
    name: str
    fused: bool = False
    variants: VariantRequest = field(default_factory=VariantRequest)
    crop: CropRecipe = field(default_factory=CropRecipe)
    limits: Limits = field(default_factory=Limits)


def write_bundle(request: ExportRequest, output: Path, *, overwrite: bool = False, progress: Progress) -> None:
    """Export a bundle; the output is complete or absent.

    Args:
        request: What to export.
        output: A folder, or a file ending in ``.vavl`` for an archive.
        overwrite: Replace what is there.
        progress: Called with a line of text at each step.

    Raises:
        ConfigError: Encoders and model do not fit each other.
        ExportError: A graph cannot be exported or breaks a rule.
        ParityError: A graph computes something else than PyTorch, or a variant drifts too far.
        OutputError: The output cannot be written.
    """
    audio = load_audio_encoder(request.description.audio_encoder, request.model.config.waveform_normalization)
    face = load_face_encoder(request.description.face_encoder)
    _check_encoders(request, audio, face)
    if output.suffix == ".vavl":
        with file_beside(output, overwrite) as archive, tempfile.TemporaryDirectory(dir=archive.parent) as folder:
            _fill(request, audio, face, Path(folder), progress)
            _pack(Path(folder), archive)
    else:
        with folder_beside(output, overwrite) as new:
            _fill(request, audio, face, new, progress)


def _fill(
    request: ExportRequest,
    audio: LoadedEncoder[AudioEncoder],
    face: LoadedEncoder[FaceEncoder],
    folder: Path,
    progress: Progress,
) -> None:
    graphs = _write_graphs(request, audio, face, folder, progress)
    manifest = _describe(request, audio, face, graphs, folder)
    write_atomically(folder / FILE_NAME, (manifest.model_dump_json(indent=1) + "\n").encode())
    if request.variants.precisions:
        add_variants(folder, request.variants, progress)


def _check_encoders(
    request: ExportRequest, audio: LoadedEncoder[AudioEncoder], face: LoadedEncoder[FaceEncoder]
) -> None:
    config, description = request.model.config, request.description
    for kind, encoder, expected, sha256 in (
        ("audio", audio, config.audio_dim, description.audio_encoder_sha256),
        ("face", face, config.visual_dim, description.face_encoder_sha256),
    ):
        if encoder.module.dim != expected:
            raise ConfigError(
                f"{kind} encoder {encoder.reference!r}: gives {encoder.module.dim}-D features, the model expects "
                f"{expected}-D; choose the encoder the model was trained with"
            )
        if sha256 is not None and encoder.weights_sha256 != sha256:
            raise ConfigError(
                f"{kind} encoder {encoder.reference!r}: its weights, settings or measurements (sha256 "
                f"{encoder.weights_sha256[:12]}) are not those that the model was trained with ({sha256[:12]}); name "
                "that encoder, or extract the features anew with vavl-train features and train on them"
            )


def _write_graphs(
    request: ExportRequest,
    audio: LoadedEncoder[AudioEncoder],
    face: LoadedEncoder[FaceEncoder],
    folder: Path,
    progress: Progress,
) -> dict[str, GraphRecord]:
    plans = [*path_plans(request.model), *encoder_plans(audio.module, face.module), *detector_plans(load_mtcnn())]
    weights = WeightFiles(folder)
    records: dict[str, GraphRecord] = {}
    kept: dict[str, onnx.ModelProto] = {}
    for plan in plans:
        progress(f"exporting {plan.name}")
        model = export_graph(plan)
        check_rules(model, plan.name)
        if request.fused and not plan.file.startswith("detector/"):
            kept[plan.name] = onnx.ModelProto.FromString(model.SerializeToString())
        records[plan.name] = _save(model, plan.file, plan.data, weights, folder)
        _record_and_check(plan, folder)
    for path in FUSED if request.fused else ():
        progress(f"composing {fused_name(path)}")
        fused = fuse_path(path, kept)
        check_rules(fused, fused_name(path))
        plan = fused_plan(path, {plan.name: plan for plan in plans})
        records[plan.name] = _save(fused, plan.file, None, weights, folder)
        _record_and_check(plan, folder)
    return records


def _save(model: onnx.ModelProto, file: str, data: str | None, weights: WeightFiles, folder: Path) -> GraphRecord:
    weights.externalize(model, file, data)
    if data is not None:
        weights.close(data)
    write_atomically(folder / file, model.SerializeToString(deterministic=True))
    return GraphRecord(
        file=file,
        data=data or "weights.bin",
        precision="fp32",
        inputs=tuple(_signature(value) for value in model.graph.input),
        outputs=tuple(_signature(value) for value in model.graph.output),
    )


def _signature(value: onnx.ValueInfoProto) -> TensorRecord:
    tensor = value.type.tensor_type
    shape = tuple(dim.dim_param or dim.dim_value for dim in tensor.shape.dim)
    return TensorRecord.model_validate({"name": value.name, "dtype": DTYPES[tensor.elem_type], "shape": shape})


def _record_and_check(plan: GraphPlan, folder: Path) -> None:
    session = ort.InferenceSession(folder / plan.file, providers=["CPUExecutionProvider"])
    for number, (inputs, outputs) in enumerate(golden.record_golden(plan)):
        got = dict(zip(plan.outputs, session.run(list(plan.outputs), inputs), strict=True))
        golden.check_parity(plan.name, got, outputs, golden.TOLERANCE["fp32"])
        write_atomically(folder / golden.FOLDER / f"{plan.name}.{number}.npz", golden.golden_bytes(inputs, outputs))


def _describe(
    request: ExportRequest,
    audio: LoadedEncoder[AudioEncoder],
    face: LoadedEncoder[FaceEncoder],
    graphs: dict[str, GraphRecord],
    folder: Path,
) -> Manifest:
    config = request.model.config
    detector_files = sorted((folder / "detector").glob("*"))
    detector_hash = hashlib.sha256(b"".join(path.read_bytes() for path in detector_files)).hexdigest()
    trained = request.description.trained and audio.trained and face.trained
    return _checked(
        schema_version=SCHEMA_VERSION,
        name=request.name,
        task=config.task,
        labels=config.labels,
        scale=config.scale,
        sample_rate=16000,
        layout=config.layout,
        weights="trained" if trained else "untrained",
        crop=request.crop,
        limits=request.limits.model_copy(
            update={"minimum_samples": audio.module.minimum_samples, "max_tokens": config.max_tokens}
        ),
        encoders={
            "audio": _encoder_record(audio),
            "face": _encoder_record(face),
            "detector": EncoderRecord(
                reference="facenet-pytorch 2.5.3 MTCNN", weights_sha256=detector_hash, trained=True, dim=4
            ),
        },
        graphs=graphs,
        files=list_files(folder),
        provenance={
            "vavl-edge": __version__,
            "torch": torch.__version__,
            "onnx": onnx.__version__,
            "python": platform.python_version(),
            "checkpoint": request.description.provenance,
        },
    )


def _checked(**values: object) -> Manifest:
    try:
        return Manifest.model_validate(values)
    except ValidationError as error:
        listed = "; ".join(item["msg"] for item in error.errors())
        raise ConfigError(f"this model and these limits make no bundle: {listed}") from error


def _encoder_record(encoder: LoadedEncoder[AudioEncoder] | LoadedEncoder[FaceEncoder]) -> EncoderRecord:
    network, separator, place = encoder.reference.rpartition("=")
    # A path of the exporting machine means nothing elsewhere; its last part does.
    reference = f"{network}{separator}{Path(place).name}" if Path(place).exists() else encoder.reference
    return EncoderRecord(
        reference=reference,
        weights_sha256=encoder.weights_sha256,
        trained=encoder.trained,
        dim=encoder.module.dim,
    )


def _pack(folder: Path, archive: Path) -> None:
    # Stored, not deflated: weights do not compress, and unpacking stays fast on small devices.
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as pack:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                pack.write(path, path.relative_to(folder).as_posix())

"""Describes an exported bundle in its manifest."""

import hashlib
import platform
from collections.abc import Sequence
from pathlib import Path

import onnx
import torch
from pydantic import ValidationError

from vavl.encoders.base import AudioEncoder, FaceEncoder, LoadedEncoder
from vavl.errors import ConfigError
from vavl_export.encoders import Encoders
from vavl_export.graph_export import ExportedGraph
from vavl_export.request import ExportRequest
from vavl_runtime._version import __version__
from vavl_runtime.bundle.manifest import SCHEMA_VERSION, EncoderRecord, Manifest


def make_manifest(request: ExportRequest, encoders: Encoders, graphs: Sequence[ExportedGraph], root: Path) -> Manifest:
    """Describe a bundle; its list of files is left to `BundleFiles`.

    Args:
        request: What was exported.
        encoders: Its encoders.
        graphs: Its graphs.
        root: The bundle folder, for the hash of the detector's files.

    Returns:
        The manifest.

    Raises:
        ConfigError: The model and the limits contradict each other.
    """
    config, audio = request.model.config, encoders.audio
    trained = request.description.trained and encoders.trained
    limits = {"minimum_samples": audio.module.minimum_samples, "max_tokens": config.max_tokens}
    try:
        return Manifest(
            schema_version=SCHEMA_VERSION,
            name=request.name,
            task=config.task,
            labels=config.labels,
            scale=config.scale,
            sample_rate=16000,
            layout=config.layout,
            weights="trained" if trained else "untrained",
            crop=request.crop,
            limits=request.limits.model_copy(update=limits),
            encoders={
                "audio": _encoder_record(audio),
                "face": _encoder_record(encoders.face),
                "detector": _detector_record(root),
            },
            graphs={graph.spec.name: graph.record for graph in graphs},
            files={},
            provenance={
                "vavl-edge": __version__,
                "torch": torch.__version__,
                "onnx": onnx.__version__,
                "python": platform.python_version(),
                "checkpoint": request.description.provenance,
            },
        )
    except ValidationError as error:
        listed = "; ".join(item["msg"] for item in error.errors())
        raise ConfigError(f"no bundle can be made of this model with these limits: {listed}") from error


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


def _detector_record(root: Path) -> EncoderRecord:
    content = b"".join(path.read_bytes() for path in sorted((root / "detector").glob("*")))
    sha256 = hashlib.sha256(content).hexdigest()
    return EncoderRecord(reference="facenet-pytorch 2.5.3 MTCNN", weights_sha256=sha256, trained=True, dim=4)

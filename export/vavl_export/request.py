"""From the exporter's command line to a complete request."""

import os
from pathlib import Path

import torch

from vavl.checkpoint import Checkpoint, CheckpointDescription, load_checkpoint
from vavl.config import light_config, paper_config
from vavl.errors import ConfigError
from vavl.model import Vavl
from vavl_export.bundle_writer import ExportRequest
from vavl_export.precision.variants import VariantRequest

PRESETS = {
    "paper": (paper_config, "random:wav2vec2-large-robust@{seed}", "random:timm:tf_efficientnet_b2@{seed}"),
    "light": (light_config, "random:light@{seed}", "light"),
}


def build_request(
    checkpoint: Path | None,
    *,
    preset: str,
    seed: int,
    audio_encoder: str | None,
    face_encoder: str | None,
    name: str,
    fused: bool,
    variants: VariantRequest | None = None,
) -> ExportRequest:
    """Load a checkpoint, or make random weights of a preset, and settle the encoders.

    Args:
        checkpoint: Checkpoint folder, or None.
        preset: ``paper`` or ``light``; used without a checkpoint.
        seed: Of random weights; used without a checkpoint.
        audio_encoder: Replaces the checkpoint's reference.
        face_encoder: Replaces the checkpoint's reference.
        name: Short name of the bundle.
        fused: Also write end-to-end graphs.
        variants: Which lower precisions to write beside fp32; none by default.

    Returns:
        What to export.

    Raises:
        ConfigError: The checkpoint or the preset is wrong.
    """
    loaded = load_checkpoint(checkpoint) if checkpoint is not None else random_checkpoint(preset, seed)
    changes: dict[str, str] = {}
    if checkpoint is not None:
        changes["audio_encoder"] = _relative_to(checkpoint, loaded.description.audio_encoder)
        changes["face_encoder"] = _relative_to(checkpoint, loaded.description.face_encoder)
    if audio_encoder is not None:
        changes["audio_encoder"] = audio_encoder
    if face_encoder is not None:
        changes["face_encoder"] = face_encoder
    description = loaded.description.model_copy(update=changes)
    return ExportRequest(loaded.model, description, name, fused, variants or VariantRequest())


def random_checkpoint(preset: str, seed: int) -> Checkpoint:
    """Make an untrained model of a preset.

    Args:
        preset: ``paper`` or ``light``.
        seed: Of its weights.

    Returns:
        The model and its description, marked untrained.

    Raises:
        ConfigError: There is no such preset.
    """
    if preset not in PRESETS:
        raise ConfigError(f"--preset {preset!r}: expected one of {', '.join(PRESETS)}")
    configure, audio, face = PRESETS[preset]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Vavl(configure()).eval()
    description = CheckpointDescription(
        model=model.config,
        audio_encoder=audio.format(seed=seed),
        face_encoder=face.format(seed=seed),
        trained=False,
        provenance=f"random weights, preset {preset}, seed {seed}",
    )
    return Checkpoint(model, description)


def _relative_to(checkpoint: Path, reference: str) -> str:
    inside = checkpoint / reference
    return os.fspath(inside) if inside.exists() else reference

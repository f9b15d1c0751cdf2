"""What to export: a checkpoint or random weights, with its encoders and options."""

import os
from dataclasses import dataclass, field
from pathlib import Path

import torch

from vavl.checkpoint import Checkpoint, CheckpointDescription, find_checkpoint, load_checkpoint
from vavl.config import light_config, paper_config
from vavl.errors import ConfigError
from vavl.model import Vavl
from vavl_export.precision.variants import VariantRequest
from vavl_runtime.bundle.manifest import CropRecipe, Limits

PRESETS = {
    "paper": (paper_config, "random:wav2vec2-large-robust@{seed}", "random:timm:tf_efficientnet_b2@{seed}"),
    "light": (light_config, "random:light@{seed}", "light"),
}


@dataclass(frozen=True)
class ExportRequest:
    """What to export.

    Attributes:
        model: The VAVL model.
        description: Its configuration and the references of its encoders.
        name: Short name of the bundle.
        fused: Also write the end-to-end graphs.
        variants: The lower precisions to write in addition to fp32.
        crop: Recipe of face detection and crops.
        limits: Limits of the bundle. Those of tokens and samples are taken from the model and the audio encoder.
    """

    model: Vavl
    description: CheckpointDescription
    name: str
    fused: bool = False
    variants: VariantRequest = field(default_factory=VariantRequest)
    crop: CropRecipe = field(default_factory=CropRecipe)
    limits: Limits = field(default_factory=Limits)


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
    """Load a checkpoint, or make random weights of a preset, and choose the encoders.

    Args:
        checkpoint: Checkpoint folder, or the run folder that holds it, or None.
        preset: ``paper`` or ``light``; used without a checkpoint.
        seed: Seed of the random weights; used without a checkpoint.
        audio_encoder: Reference that replaces the checkpoint's own.
        face_encoder: Reference that replaces the checkpoint's own.
        name: Short name of the bundle.
        fused: Also write the end-to-end graphs.
        variants: The lower precisions to write in addition to fp32; none by default.

    Returns:
        What to export.

    Raises:
        ConfigError: The checkpoint or the preset is wrong.
    """
    checkpoint = find_checkpoint(checkpoint) if checkpoint is not None else None
    loaded = load_checkpoint(checkpoint) if checkpoint is not None else random_checkpoint(preset, seed)
    references = {"audio_encoder": audio_encoder, "face_encoder": face_encoder}
    changes = {kind: reference for kind, reference in references.items() if reference is not None}
    if checkpoint is not None:
        for kind in references.keys() - changes.keys():
            changes[kind] = _relative_to(checkpoint, getattr(loaded.description, kind))
    description = loaded.description.model_copy(update=changes)
    crop = CropRecipe(token_rate=description.token_rate)
    return ExportRequest(loaded.model, description, name, fused, variants or VariantRequest(), crop)


def random_checkpoint(preset: str, seed: int) -> Checkpoint:
    """Make an untrained model of a preset.

    Args:
        preset: ``paper`` or ``light``.
        seed: Seed of its weights.

    Returns:
        The model and its description, marked untrained.

    Raises:
        ConfigError: There is no such preset.
    """
    if preset not in PRESETS:
        raise ConfigError(f"preset: got {preset!r}, expected one of {', '.join(PRESETS)}")
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

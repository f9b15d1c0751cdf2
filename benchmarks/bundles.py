"""Bundles with random weights to measure: speed does not depend on the weights."""

import sys
from pathlib import Path

from vavl_export.bundle_writer import write_bundle
from vavl_export.precision.variants import VariantRequest
from vavl_export.request import build_request


def export_preset(preset: str, place: Path, variants: VariantRequest | None = None) -> Path:
    """Export a preset with random weights of seed 0, unless the folder is there already.

    Args:
        preset: ``paper`` or ``light``.
        place: Folder of the bundle.
        variants: Lower precisions; their drift must be allowed, since any rounding flips labels of random weights.

    Returns:
        The folder.
    """
    if not place.is_dir():
        request = build_request(
            None,
            preset=preset,
            seed=0,
            audio_encoder=None,
            face_encoder=None,
            name=preset,
            fused=False,
            variants=variants,
        )
        write_bundle(request, place, progress=lambda line: print(line, file=sys.stderr))
    return place

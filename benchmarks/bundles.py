"""Bundles with random weights to measure: speed does not depend on the weights."""

import sys
from collections.abc import Sequence
from pathlib import Path

from vavl_export import export_bundle


def export_preset(preset: str, place: Path, precisions: Sequence[str] = (), calibration: Path | None = None) -> Path:
    """Export a preset with random weights of seed 0, unless the folder is there already.

    Args:
        preset: ``paper`` or ``light``.
        place: Folder of the bundle.
        precisions: Lower precisions to add. Their drift is allowed, since any rounding flips labels of random weights.
        calibration: Folder of clips with speech and faces, for int8.

    Returns:
        The folder.
    """
    if not place.is_dir():
        export_bundle(
            place,
            preset=preset,
            name=preset,
            precisions=("fp32", *precisions),
            calibration=calibration,
            allow_drift=True,
            progress=lambda line: print(line, file=sys.stderr),
        )
    return place

"""What all steps of one pass over one clip share."""

from dataclasses import dataclass

from vavl_runtime.bundle.manifest import CropRecipe, Limits
from vavl_runtime.media import Source
from vavl_runtime.pipeline.availability import Presence
from vavl_runtime.timing import StageTimer


@dataclass(frozen=True)
class ClipContext:
    """One pass over one clip.

    Attributes:
        source: The clip.
        crop: How faces are found and cut out.
        limits: Window length, shortest sound, silence level, most tokens.
        presence: Which modalities to read; `ClipReader` notes there what it finds.
        timer: Where time is booked.
        stride: Every n-th frame is read; the others are decoded and dropped.
    """

    source: Source
    crop: CropRecipe
    limits: Limits
    presence: Presence
    timer: StageTimer
    stride: int = 1

"""Extraction without worker processes, each of which would take seconds to import PyTorch."""

from collections.abc import Iterator, Sequence

from vavl.corpora import Clip
from vavl.features import ClipFeatures
from vavl.features.extract import read_clip
from vavl.features.raw import RawChoice, RawGraphs
from vavl_runtime.bundle.manifest import CropRecipe, Limits
from vavl_runtime.errors import InputError


def read_raw(
    clips: Sequence[Clip], choice: RawChoice, crop: CropRecipe, limits: Limits, workers: int
) -> Iterator[tuple[Clip, ClipFeatures | InputError]]:
    """Stands where ``vavl.features.extract._read_all`` would, for raw material."""
    graphs = RawGraphs(choice)
    for clip in clips:
        try:
            yield clip, read_clip(clip, graphs, crop, limits)
        except InputError as error:
            yield clip, error

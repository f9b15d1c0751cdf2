"""Which path graphs a window runs, given the features that it has."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from vavl_runtime.bundle.manifest import PathName
from vavl_runtime.pipeline.feature_reader import Features
from vavl_runtime.pipeline.together import enough_together


@dataclass(frozen=True)
class PathRun:
    """One path graph of one window.

    Attributes:
        path: The graph.
        seconds: Length of the window.
        inputs: The graph's inputs by name, batch size 1.
        chosen: Whether this path uses every modality that the window has enough of.
    """

    path: PathName
    seconds: float
    inputs: dict[str, NDArray[Any]]
    chosen: bool


def path_runs(audio: Features | None, visual: Features | None, *, all_paths: bool) -> Iterator[PathRun]:
    """Decide for one window.

    Args:
        audio: Its audio features, if it has any.
        visual: Its visual features, if it has any.
        all_paths: Where both are there, run the unimodal paths too.

    Yields:
        The runs; none without features.
    """
    path = _chosen(audio, visual)
    if path == "audio_visual":
        assert audio is not None and visual is not None
        seconds = max(audio.seconds, visual.seconds)
        yield PathRun("audio_visual", seconds, audio.inputs("audio") | visual.inputs("visual"), chosen=True)
    if audio is not None and (all_paths or path == "audio"):
        yield PathRun("audio", audio.seconds, audio.inputs("audio"), chosen=path == "audio")
    if visual is not None and (all_paths or path == "visual"):
        yield PathRun("visual", visual.seconds, visual.inputs("visual"), chosen=path == "visual")


def _chosen(audio: Features | None, visual: Features | None) -> PathName | None:
    """Both where both are there for long enough, else what is there for longer."""
    if audio is None or visual is None:
        return "audio" if audio is not None else "visual" if visual is not None else None
    if enough_together(audio.stretch, visual.stretch, max(audio.seconds, visual.seconds)):
        return "audio_visual"
    return "audio" if audio.stretch.covered_s >= visual.stretch.covered_s else "visual"

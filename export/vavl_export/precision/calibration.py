"""Records real inputs of every graph by running clips through the runtime."""

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vavl.errors import ConfigError
from vavl_export.progress import Progress
from vavl_runtime import Recognizer
from vavl_runtime.backends.base import Arrays as Inputs
from vavl_runtime.backends.ort.cpu import OnnxRuntimeBackend
from vavl_runtime.bundle import Bundle
from vavl_runtime.bundle.golden import Arrays
from vavl_runtime.bundle.precision import VARIANT_GRAPHS
from vavl_runtime.errors import InputError
from vavl_runtime.media.find import list_clips

MAX_CLIPS = 32
CALLS_PER_CLIP = 2  # per graph: the face encoder is called for every four frames, which look alike


def calibration_inputs(bundle: Bundle, folder: Path, progress: Progress) -> dict[str, list[Arrays]]:
    """Run a bundle's fp32 graphs on clips and keep their inputs.

    Args:
        bundle: The bundle.
        folder: Folder of clips. At most `MAX_CLIPS` of them are used, evenly spread over the sorted names.
        progress: Called with a line of text for each clip that cannot be read.

    Returns:
        Inputs by graph name, for every graph of `VARIANT_GRAPHS`.

    Raises:
        InputError: The folder has no clips.
        ConfigError: No clip reaches some graph, because speech or faces are missing.
    """
    clips = spread_clips(folder, MAX_CLIPS)
    recorder = _Recorder()
    with Recognizer(bundle, backend=recorder) as recognizer:
        for clip in clips:
            recorder.start_clip()
            try:
                recognizer.predict(clip, all_paths=True)
            except InputError as error:
                progress(f"skipping a calibration clip: {error}")
    if unreached := [name for name in VARIANT_GRAPHS if not recorder.kept[name]]:
        raise ConfigError(
            f"calibration: none of the {len(clips)} clips in {folder} reaches {', '.join(unreached)}; "
            "use clips with both speech and a face"
        )
    return {name: recorder.kept[name] for name in VARIANT_GRAPHS}


def spread_clips(folder: Path, most: int) -> list[Path]:
    """Choose some clips of a folder.

    Args:
        folder: The folder, searched recursively.
        most: The largest number of clips to choose.

    Returns:
        The clips, evenly spread over the sorted names.

    Raises:
        InputError: The folder has no clips.
    """
    clips = list_clips([folder]).clips
    for clip in clips:
        if clip.error is not None:
            raise clip.error
    if len(clips) <= most:
        return [clip.path for clip in clips]
    chosen = np.linspace(0, len(clips) - 1, most).round().astype(int)
    return [clips[index].path for index in chosen]


class _Recorder(OnnxRuntimeBackend):
    """Runs graphs and keeps their inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[str, list[Arrays]] = defaultdict(list)
        self._calls: dict[str, int] = defaultdict(int)

    def start_clip(self) -> None:
        """Begin a clip: keep the inputs of its first calls."""
        self._calls.clear()

    def run(self, name: str, inputs: Inputs) -> dict[str, NDArray[Any]]:
        """Run a graph; see `Backend.run`."""
        self._calls[name] += 1
        if name in VARIANT_GRAPHS and self._calls[name] <= CALLS_PER_CLIP:
            self.kept[name].append({key: value.copy() for key, value in inputs.items()})
        return super().run(name, inputs)

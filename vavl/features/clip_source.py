"""A corpus clip as a source for the runtime: sound and picture may lie in different files, or be features already."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vavl.corpora.corpus import FEATURES_SUFFIX, Clip
from vavl_runtime.bundle.manifest import Limits
from vavl_runtime.errors import InvalidArrayError, NotFoundError
from vavl_runtime.media import Frame, SoundBlock, Source, open_source


class ClipSource:
    """Reads the sound from the clip's audio file and the frames from its visual file.

    Files of features are not media: a modality that has one is not announced here.

    Args:
        clip: The clip.
        limits: Bounds on frame size.

    Raises:
        InputError: A file cannot be opened.
    """

    def __init__(self, clip: Clip, limits: Limits) -> None:
        self.name = clip.id
        opened: dict[Path, Source] = {}
        for path in (clip.audio, clip.visual):
            if path is not None and not holds_features(path) and path not in opened:
                opened[path] = open_source(path, limits)
        self._audio = opened.get(clip.audio) if clip.audio else None
        self._visual = opened.get(clip.visual) if clip.visual else None
        self.has_audio = self._audio is not None and self._audio.has_audio
        self.has_video = self._visual is not None and self._visual.has_video

    def sound(self) -> Iterator[SoundBlock]:
        """Decode the sound from its start."""
        return self._audio.sound() if self._audio else iter(())

    def frames(self) -> Iterator[Frame]:
        """Decode the pictures from their start."""
        return self._visual.frames() if self._visual else iter(())


def holds_features(path: Path) -> bool:
    """Whether a file of a clip holds features instead of media."""
    return path.suffix.lower() == FEATURES_SUFFIX


def read_features(path: Path) -> NDArray[np.float32]:
    """Read a file of features, (T, F).

    Raises:
        InputError: It cannot be read, or holds something else.
    """
    try:
        features: NDArray[np.generic] = np.load(path, allow_pickle=False)
    except FileNotFoundError as error:
        raise NotFoundError(f"{path}: no such file") from error
    except (OSError, ValueError, EOFError) as error:
        raise InvalidArrayError(f"{path}: not a readable feature file ({error}); extract it again") from error
    if features.ndim != 2 or features.dtype.kind != "f":
        raise InvalidArrayError(
            f"{path}: got {features.dtype} of shape {features.shape}, expected floats of shape (T, F)"
        )
    with np.errstate(over="ignore"):  # infinities are refused where they would be kept
        return features.astype(np.float32)

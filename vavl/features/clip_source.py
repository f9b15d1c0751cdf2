"""A corpus clip as a source for the runtime. Its audio and video may be in different files, or be features already."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vavl.corpora.corpus import FEATURES_SUFFIX, Clip
from vavl.corpora.feature_file import open_features
from vavl_runtime.bundle.manifest import Limits
from vavl_runtime.media import Frame, SoundBlock, Source, open_source
from vavl_runtime.notes import Note
from vavl_runtime.stream_numbers import StreamNumbers


class ClipSource:
    """Reads audio from the clip's audio file and frames from its visual file.

    Feature files are not media: a modality with a feature file counts as absent here.

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
        """Decode the audio from its start."""
        return self._audio.sound() if self._audio else iter(())

    def frames(self) -> Iterator[Frame]:
        """Decode the frames from the start."""
        return self._visual.frames() if self._visual else iter(())

    def notes(self) -> tuple[Note, ...]:
        """What is worth knowing about what was read so far."""
        sources = dict.fromkeys(source for source in (self._audio, self._visual) if source is not None)
        return tuple(note for source in sources for note in source.notes())

    def streams(self) -> StreamNumbers:
        """Which streams of the audio file and of the visual file were read so far."""
        audio = self._audio.streams().audio if self._audio else None
        return StreamNumbers(audio, self._visual.streams().visual if self._visual else None)


def holds_features(path: Path) -> bool:
    """Whether a file of a clip holds features and not media."""
    return path.suffix.lower() == FEATURES_SUFFIX


def read_features(path: Path) -> NDArray[np.float32]:
    """Read a feature file, float32, shape (T, F).

    Raises:
        InputError: The file cannot be read, or does not hold floats of shape (T, F).
    """
    features = open_features(path)
    with np.errstate(over="ignore"):  # the cache refuses infinities
        return features.astype(np.float32)

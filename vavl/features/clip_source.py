"""A corpus clip as a source for the runtime: sound and picture may lie in different files."""

from collections.abc import Iterator
from pathlib import Path

from vavl.corpora.corpus import Clip
from vavl_runtime.manifest import Limits
from vavl_runtime.media import Frame, SoundBlock, Source, open_source

FEATURE_SUFFIX = ".npy"


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
            if path is not None and path.suffix != FEATURE_SUFFIX and path not in opened:
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

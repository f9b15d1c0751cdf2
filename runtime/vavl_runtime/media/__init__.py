"""Sound and picture from files or arrays, as streams of bounded size."""

from vavl_runtime.media.arrays import ArrayClip
from vavl_runtime.media.source import Frame, SoundBlock, Source, open_source

__all__ = ["ArrayClip", "Frame", "SoundBlock", "Source", "open_source"]

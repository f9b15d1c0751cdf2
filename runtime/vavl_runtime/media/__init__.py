"""Sound and picture from files or arrays, as streams of bounded size."""

from vavl_runtime.media.arrays import ArrayClip
from vavl_runtime.media.open import open_source
from vavl_runtime.media.source import Frame, SoundBlock, Source

__all__ = ["ArrayClip", "Frame", "SoundBlock", "Source", "open_source"]

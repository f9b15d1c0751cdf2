"""Sound and picture from files or arrays, as streams of bounded size."""

from vavl_runtime.media.arrays import ArrayClip
from vavl_runtime.media.open import Clip, name_of, open_source
from vavl_runtime.media.source import Frame, SoundBlock, Source

__all__ = ["ArrayClip", "Clip", "Frame", "SoundBlock", "Source", "name_of", "open_source"]

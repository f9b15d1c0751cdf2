"""A frame that stays as it was decoded until it is looked at.

That takes half of the memory of RGB, and of most frames only the area of a face is ever looked at.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vavl_runtime.media.areas import Area
from vavl_runtime.media.pictures import PictureMaker
from vavl_runtime.media.source import Frame


class DecodedFrame(Frame):
    """A frame of a file. To be looked at from one thread at a time, as all frames of its stream.

    Args:
        time_s: As in `Frame`.
        shown_s: As in `Frame`.
        decoded: PyAV's frame, one that `PictureMaker.may_wait`.
        maker: Converts the frames of the stream.
        converting: Gives the context in which frames are converted: it books the time and names the errors.

    Raises:
        InputError: Looking at it raises what ``converting`` makes of errors.
    """

    def __init__(
        self,
        time_s: float,
        shown_s: float,
        decoded: Any,
        maker: PictureMaker,
        converting: Callable[[], AbstractContextManager[None]],
    ) -> None:
        object.__setattr__(self, "time_s", time_s)  # fields of `Frame` are frozen
        object.__setattr__(self, "shown_s", shown_s)
        self._decoded = decoded
        self._maker = maker
        self._converting = converting
        self._pixels: NDArray[np.uint8] | None = None

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """RGB as a person would see it, rotation applied, uint8, shape (H, W, 3)."""
        if self._pixels is None:
            with self._converting():
                self._pixels = self._maker(self._decoded)
            self._decoded = None
        return self._pixels

    @property
    def size(self) -> tuple[int, int]:
        """Height and width, pixels."""
        if self._pixels is not None:
            return super().size
        with self._converting():
            return self._maker.size(self._decoded)

    @property
    def nbytes(self) -> int:
        """Memory that it takes until it is looked at, bytes."""
        if self._pixels is not None:
            return super().nbytes
        return sum(plane.buffer_size for plane in self._decoded.planes)

    def area(self, left: int, top: int, right: int, bottom: int) -> NDArray[np.uint8]:
        """Look at a part alone, as in `Frame`."""
        if self._pixels is not None or not self._maker.can_cut(self._decoded):
            return super().area(left, top, right, bottom)
        height, width = self.size
        with self._converting():
            return self._maker.area(self._decoded, Area(left, top, min(right, width), min(bottom, height)))

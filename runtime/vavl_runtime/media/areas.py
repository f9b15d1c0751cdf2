"""Cuts an area out of a decoded frame, such that converting the area gives what an area of the converted frame is.

Colours are stored for pairs of pixels and interpolated between them, so an area is cut with more around it.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import av

_BORDER = 4  # a multiple of this, at least this much more than asked for: pairs stay pairs and have their neighbours
_STEP = 32  # sides are multiples of this: FFmpeg sets up anew for each size, which takes as long as a small conversion


@dataclass(frozen=True)
class Area:
    """A rectangle of pixels: columns from ``left`` to before ``right``, rows from ``top`` to before ``bottom``."""

    left: int
    top: int
    right: int
    bottom: int

    def with_border(self, width: int, height: int) -> "Area":
        """The area that is to be converted for this one, within a frame of so many pixels."""
        left, right = _widened(self.left, self.right, width)
        top, bottom = _widened(self.top, self.bottom, height)
        return Area(left, top, right, bottom)


def _widened(first: int, last: int, most: int) -> tuple[int, int]:
    first = max(first // _BORDER - 1, 0) * _BORDER
    side = min(-(-(last + _BORDER - first) // _STEP) * _STEP, most)
    first = min(first, most - side)
    return first, first + side


def can_be_cut(frame: Any) -> bool:
    """Whether areas of a frame are converted as the whole is.

    Args:
        frame: PyAV's frame.

    Returns:
        False for kinds of pixels that are stored otherwise than one by one, and for sizes that break up a pair: FFmpeg
        then stretches the colours a little, the further to the right the more.
    """
    across, down = _stored_for(frame.format.name)
    return bool(across) and frame.width % across == 0 and frame.height % down == 0 and not frame.interlaced_frame


@lru_cache(maxsize=64)
def _stored_for(format_name: str) -> tuple[int, int]:
    """How many pixels across and down share a colour; zeros for what cannot be cut."""
    pixels = av.VideoFormat(format_name)
    across, down = 64 // pixels.chroma_width(64), 64 // pixels.chroma_height(64)
    odd = pixels.has_palette or pixels.is_bit_stream or pixels.is_bayer or not pixels.components
    packed = not pixels.is_planar and (across, down) != (1, 1)
    return (0, 0) if odd or packed or max(across, down) > 2 else (across, down)


class AreaCutter:
    """Cuts areas out of the frames of one stream. They share the frame's memory."""

    def __init__(self) -> None:
        self._graph: Any = None
        self._crop: Any = None
        self._shape: tuple[int, int, str] | None = None
        self._set: dict[str, int] = {}

    def __call__(self, frame: Any, area: Area) -> Any:
        """Cut.

        Args:
            frame: PyAV's frame; one that `can_be_cut`.
            area: Within the frame.

        Returns:
            PyAV's frame of the area, with everything else that is known of the frame.

        Raises:
            FFmpegError: The frame cannot be filtered.
        """
        shape = (frame.width, frame.height, frame.format.name)
        if shape != self._shape:
            self._set_up(frame)
            self._shape = shape
        wanted = {"w": area.right - area.left, "h": area.bottom - area.top, "x": area.left, "y": area.top}
        for name, value in wanted.items() - self._set.items():
            self._crop.process_command(name, str(value))
        self._set = wanted
        self._graph.push(frame)
        return self._graph.pull()

    def _set_up(self, frame: Any) -> None:
        self._graph = graph = av.filter.Graph()
        graph.threads = 1
        buffer = graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
        )
        self._crop = graph.add("crop")
        self._set = {}
        graph.link_nodes(buffer, self._crop, graph.add("buffersink")).configure()

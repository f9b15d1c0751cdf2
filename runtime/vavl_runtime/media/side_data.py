"""Data that FFmpeg keeps beside the pixels of a frame, such as the display matrix."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import av
from av.sidedata.sidedata import SideDataContainer

# FFmpeg's numbers of kinds.
_UNNAMED = range(28, 48)  # those that PyAV before 19 has no name for; EXIF is one
_PROFILE = 15
_PNG = frozenset({"png", "apng"})


def side_data(frame: Any) -> Mapping[str, Any]:
    """Read the side data of a frame.

    Args:
        frame: PyAV's frame, from `readable`.

    Returns:
        PyAV's entries, to be had by FFmpeg's names, such as ``get("DISPLAYMATRIX")``.
    """
    # ``frame.side_data`` would tie the frame to itself: the garbage collector comes too late for pictures of 12 MB.
    container: Any = SideDataContainer  # its stub leaves the constructor out
    found: Mapping[str, Any]
    try:
        found = container(frame)
    except ValueError:  # PyAV reads none if it has no name for one of them
        found = container(_without(frame, _UNNAMED))
    return found


def readable(frames: Iterable[Any], decoder: str) -> Iterator[Any]:
    """Leave out what must not be read.

    FFmpeg's decoder of PNG gives a name to a colour profile, and PyAV frees that name together with its own entry, and
    again with the frame, which ends the process.

    Args:
        frames: PyAV's frames.
        decoder: FFmpeg's name of what decoded them.

    Yields:
        The frames, those of PNG without their profile.
    """
    for frame in frames:
        yield _without(frame, [_PROFILE]) if decoder in _PNG else frame


def _without(frame: Any, kinds: Iterable[int]) -> Any:
    graph = av.filter.Graph()
    chain = [graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base)]
    chain += [graph.add("sidedata", f"mode=delete:type={kind}") for kind in kinds]
    chain.append(graph.add("buffersink"))
    graph.link_nodes(*chain).configure()
    graph.push(frame)
    return graph.pull()

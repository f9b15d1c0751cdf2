"""Makes whole pictures of frames whose lines were taken at two times, where the decoder flags them."""

from collections.abc import Iterable, Iterator
from typing import Any

import av


def deinterlaced(frames: Iterable[Any]) -> Iterator[Any]:
    """Pass frames on, those that are flagged as interlaced as whole pictures (FFmpeg's yadif).

    Args:
        frames: PyAV's frames, in order.

    Yields:
        As many frames, in the same order, with their times. Until the first interlaced one, they are the same objects.

    Raises:
        FFmpegError: A frame cannot be filtered.
    """
    graph: Any = None
    shape: tuple[int, int, str] | None = None
    for frame in frames:
        if graph is None and not frame.interlaced_frame:
            yield frame
            continue
        if shape != (frame.width, frame.height, frame.format.name):
            yield from _drained(graph)
            graph, shape = _yadif(frame), (frame.width, frame.height, frame.format.name)
        graph.push(frame)
        yield from _ready(graph)
    yield from _drained(graph)


def _yadif(frame: Any) -> Any:
    graph = av.filter.Graph()
    buffer = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base)
    graph.link_nodes(buffer, graph.add("yadif", "deint=interlaced"), graph.add("buffersink")).configure()
    return graph


def _drained(graph: Any) -> Iterator[Any]:
    """What a filter still holds: it looks one frame ahead."""
    if graph is not None:
        graph.push(None)
        yield from _ready(graph)


def _ready(graph: Any) -> Iterator[Any]:
    while True:
        try:
            frame = graph.pull()
        except (av.error.BlockingIOError, av.error.EOFError):  # nothing more for now; nothing more at all
            return
        yield frame

"""Which of several streams is read."""

import contextlib
import itertools
from collections.abc import Callable
from typing import Any, Literal

from av.error import FFmpegError

from vavl_runtime.notes import Notes

LOOK_S = 10.0  # how much of each stream of sound is heard before a silent one is passed over
_LOOK_PACKETS = 500  # of all streams of pictures, read to see which of them hold a single frame
NO_PICTURE = frozenset({"attached_pic", "timed_thumbnails", "dependent"})
NAMED = "; it was asked for"  # why a stream is read that the user names
SUBJECT: dict[Literal["audio", "visual"], str] = {"audio": "sound", "visual": "the picture"}


def sound_streams(container: Any) -> list[Any]:
    """The streams of sound that can be decoded: FFmpeg's best one, those flagged as default, the others in order."""
    streams = [stream for stream in container.streams.audio if stream.codec_context is not None]
    best = container.streams.best("audio")

    def rank(stream: Any) -> tuple[bool, bool, int]:
        chosen = best is not None and stream.index == best.index
        return not chosen, "default" not in flags_of(stream), stream.index

    return sorted(streams, key=rank)


def choose_sound(order: list[int], heard: Callable[[int, float], bool], notes: Notes) -> int:
    """Choose the stream of sound: the first one whose beginning is not silent.

    Args:
        order: Numbers of the streams in the file, in the order of `sound_streams`.
        heard: Says whether a stream has sound in so many seconds from its start. Asked only if there is a choice.
        notes: Where a choice is noted.

    Returns:
        The number of the stream. If all are silent, the first one in the order.
    """
    if len(order) == 1:
        return order[0]
    silent: list[int] = []
    chosen = order[0]
    for index in order:
        if heard(index, LOOK_S):
            chosen = index
            break
        silent.append(index)
    why = f"; silent in their first {LOOK_S:g} s: {_listed(silent)}" if silent else ""
    note_choice("audio", chosen, order, notes, why)
    return chosen


def _listed(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers))


def flags_of(stream: Any) -> set[str]:
    """Names of the flags that a stream has, such as ``default``."""
    return {flag.name for flag in type(stream.disposition) if flag.name and flag in stream.disposition}


def picture_streams(container: Any) -> list[Any]:
    """The streams of pictures that can be decoded and are no cover, no preview and no part of another picture."""
    return [s for s in container.streams.video if s.codec_context is not None and not NO_PICTURE & flags_of(s)]


def has_tiles(container: Any) -> bool:
    """Whether the file holds parts of a picture (HEIC), which would have to be put together."""
    return any("dependent" in flags_of(stream) for stream in container.streams.video)


def choose_picture(container: Any, streams: list[Any]) -> Any:
    """Choose the stream of pictures: one that moves before one of a single frame, then the first flagged as default.

    If none is flagged, it is FFmpeg's best one.

    Args:
        container: PyAV's container, at its start. Its packets are read if there is a choice.
        streams: As from `picture_streams`, at least one.

    Returns:
        The stream.
    """
    if len(streams) == 1:
        return streams[0]
    best = container.streams.best("video")
    moving = _moving(container, streams)

    def rank(stream: Any) -> tuple[bool, bool, int]:
        flagged = "default" in flags_of(stream)
        is_best = best is not None and stream.index == best.index
        return stream.index not in moving, not (flagged or is_best), stream.index

    return min(streams, key=rank)


def note_choice(
    modality: Literal["audio", "visual"], chosen: int, streams: list[int], notes: Notes, why: str = ""
) -> None:
    """Note which stream is read, by its number, if there is a choice.

    Args:
        modality: What it holds.
        chosen: Its number in the file.
        streams: Numbers of those that the rules choose from. One that the user names need not be among them.
        notes: Where the choice is noted.
        why: End of the sentence.
    """
    numbers = sorted({chosen, *streams})
    if len(numbers) > 1:
        read = f"{SUBJECT[modality]} is read from stream {chosen}"
        notes.add("stream_chosen", modality, f"{read}, of {_listed(numbers)}{why}")


def _moving(container: Any, streams: list[Any]) -> set[int]:
    """Numbers of the streams that hold more than one frame, as far as the file's first packets show."""
    counts = dict.fromkeys((stream.index for stream in streams), 0)
    with contextlib.suppress(FFmpegError):  # what breaks here breaks again where it is read, and is reported there
        for packet in itertools.islice(container.demux(streams), _LOOK_PACKETS):
            counts[packet.stream.index] += packet.size > 0
            if min(counts.values()) > 1:
                break
    return {index for index, count in counts.items() if count > 1}

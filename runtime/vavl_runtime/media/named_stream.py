"""The stream that a user names by its number, and what a file has instead."""

from typing import Any, Literal

from vavl_runtime.errors import NoSuchStreamError, UnsupportedMediaError
from vavl_runtime.media.streams import NO_PICTURE, SUBJECT, flags_of

_TYPES: dict[Literal["audio", "visual"], str] = {"audio": "audio", "visual": "video"}  # as FFmpeg calls them
_MOST_LISTED = 10  # streams in a message
_MOST_LETTERS = 40  # of a title in a message


def named_stream(container: Any, modality: Literal["audio", "visual"], number: int, name: str) -> Any:
    """Find the stream that the user names, whatever its flags say.

    Args:
        container: PyAV's container.
        modality: What it must hold.
        number: Its number in the file.
        name: How messages call the clip.

    Returns:
        The stream.

    Raises:
        NoSuchStreamError: The file has no stream of this number, or one of another kind.
        UnsupportedMediaError: FFmpeg has no decoder for it.
    """
    kind = _TYPES[modality]
    asked = f"{name}: {SUBJECT[modality]} is asked for from stream {number}"
    fitting = [stream for stream in container.streams if stream.type == kind]
    decodable = [stream for stream in fitting if stream.codec_context is not None]
    for stream in fitting:
        if stream.index == number:
            if stream.codec_context is None:
                raise UnsupportedMediaError(
                    f"{asked}, which has a codec that cannot be decoded; {_expected(kind, decodable)}"
                )
            return stream
    others = {stream.index: stream.type for stream in container.streams}
    got = f"which is of the type {others[number]}" if number in others else "which the file does not have"
    raise NoSuchStreamError(f"{asked}, {got}; {_expected(kind, decodable)}")


def _expected(kind: str, streams: list[Any]) -> str:
    if not streams:
        return f"it has no {kind} stream that can be decoded, so name none"
    told = ", ".join(map(_described, streams[:_MOST_LISTED]))
    more = f" and {len(streams) - _MOST_LISTED} more" if len(streams) > _MOST_LISTED else ""
    return f"its {kind} streams are {told}{more}; name one of them, or none to leave the choice to us"


def _described(stream: Any) -> str:
    """A stream's number, its codec, and what the file says of it, such as ``2 (aac, eng, 'Guide')``."""
    told = [stream.codec_context.name]
    if (language := stream.metadata.get("language", "und")) != "und":  # undetermined
        told.append(language[:_MOST_LETTERS])
    if title := stream.metadata.get("title") or stream.metadata.get("name"):  # as QuickTime calls it
        told.append(repr(title[:_MOST_LETTERS]))
    told += sorted(flags_of(stream) & NO_PICTURE)
    return f"{stream.index} ({', '.join(told)})"

"""The options of ``vavl-run`` that name streams of a file."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from vavl_runtime.stream_numbers import StreamNumbers

AudioStreamOption = Annotated[
    int | None,
    typer.Option(
        min=0,
        metavar="N",
        help="Read the sound from stream N of each file; ffprobe shows the numbers. Default: FFmpeg's best stream, or "
        "another one if that is silent.",
    ),
]
VideoStreamOption = Annotated[
    int | None,
    typer.Option(
        min=0,
        metavar="N",
        help="Read the picture from stream N of each file, which may be its cover. Default: one that moves, and is "
        "flagged as default or FFmpeg's best.",
    ),
]


def named_streams(audio: int | None, video: int | None, *, audio_only: bool, visual_only: bool) -> "StreamNumbers":
    """Put the options into one object; a stream of a modality that the user leaves out is bad usage."""
    from vavl_runtime.stream_numbers import StreamNumbers

    if audio is not None and visual_only:
        raise typer.BadParameter("--audio-stream names a stream of sound, --visual-only reads none; give one of them")
    if video is not None and audio_only:
        raise typer.BadParameter("--video-stream names a stream of pictures, --audio-only reads none; give one of them")
    return StreamNumbers(audio, video)

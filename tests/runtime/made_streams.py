"""Write files with any number of streams of sound and of pictures."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.stream import Disposition
from numpy.typing import NDArray

from tests.runtime.made_media import RATE

NONE = Disposition(0)


@dataclass(frozen=True, eq=False)
class Track:
    """One stream.

    Attributes:
        content: Mono 16 kHz float32, or JPEGs of one size, shown 25 a second.
        flags: As FFmpeg knows them.
        tags: Such as ``language`` and ``title``.
        start_ms: When its first packet is due.
        size: Of its pictures.
    """

    content: NDArray[np.float32] | list[bytes]
    flags: Disposition = NONE
    tags: dict[str, str] = field(default_factory=dict)
    start_ms: int = 0
    size: tuple[int, int] = (64, 48)


def write_tracks(path: Path, tracks: Sequence[Track]) -> Path:
    """Write the tracks in their order, interleaved, into the container that the suffix names."""
    with av.open(str(path), "w") as container:
        packets: list[tuple[int, av.Packet]] = []
        for track in tracks:
            stream = _stream(container, track)
            stream.disposition = track.flags
            stream.metadata.update(track.tags)
            packets += [(ms, _packet(stream, data, ms)) for ms, data in _parts(track)]
        container.start_encoding()
        for _, packet in sorted(packets, key=lambda item: item[0]):
            container.mux(packet)
    return path


def _stream(container: Any, track: Track) -> Any:
    if isinstance(track.content, np.ndarray):
        return container.add_stream("pcm_s16le", rate=RATE, layout="mono")
    stream = container.add_stream("mjpeg", rate=25)
    stream.width, stream.height = track.size
    stream.pix_fmt = "yuvj420p"
    return stream


def _parts(track: Track) -> list[tuple[int, bytes]]:
    if isinstance(track.content, np.ndarray):
        samples = (track.content * 32767).astype("<i2")
        starts = range(0, len(samples), RATE // 10)
        return [(track.start_ms + s * 1000 // RATE, samples[s : s + RATE // 10].tobytes()) for s in starts]
    return [(track.start_ms + 40 * number, data) for number, data in enumerate(track.content)]


def _packet(stream: Any, data: bytes, time_ms: int) -> av.Packet:
    packet = av.Packet(data)
    packet.stream, packet.time_base = stream, Fraction(1, 1000)
    packet.pts = packet.dts = time_ms
    packet.is_keyframe = True
    return packet

"""Decodes one stream to its end, past packets that cannot be decoded, and says what is missing.

FFmpeg reports neither a file that was cut short nor the share of a stream that was lost: both are found here.
"""

from collections.abc import Iterator
from typing import Any, Literal

import av
from av.error import FFmpegError

from vavl_runtime.errors import DamagedMediaError, EmptyStreamError, InputError, OverLimitError
from vavl_runtime.media.streams import flags_of
from vavl_runtime.notes import Notes

REMEDY = "re-encode it with ffmpeg, or leave this modality out"
MAX_LOST = 0.1  # share of the pictures, or of the bytes of the sound; beyond it the modality is damaged
# Formats without a length of their own: FFmpeg estimates it from the bit rate or from time stamps.
ESTIMATED = frozenset({"aac", "ac3", "amr", "eac3", "h264", "hevc", "mp3", "mpeg", "mpegts", "mpegvideo"})
_WORDS = {"audio": "sound", "visual": "picture"}


class PacketReader:
    """Decodes one stream.

    Args:
        container: PyAV's container, at its start.
        stream: One of its streams.
        modality: What the stream holds.
        name: How messages call the clip.
        notes: Where missing packets and missing ends are noted.

    Attributes:
        hole: Whether packets were lost since the last frame that the caller has looked at; the caller resets it.
    """

    def __init__(
        self, container: Any, stream: Any, modality: Literal["audio", "visual"], name: str, notes: Notes
    ) -> None:
        self._container = container
        self._stream = stream
        self._modality = modality
        self._what = _WORDS[modality]
        self._name = name
        self._notes = notes
        self.hole = False
        self._packets = [0, 0]  # all of them; those that were lost
        self._sizes = [0, 0]
        self._last_lost_size = 0
        self._failed_last = 0  # in a row, up to here
        self._reason: Exception | None = None
        self._end = 0  # in units of the stream's clock

    def frames(self) -> Iterator[Any]:
        """Decode.

        Yields:
            PyAV's frames.

        Raises:
            DamagedMediaError: More than `MAX_LOST` of the packets cannot be decoded; known at the end only.
            EmptyStreamError: There is nothing to decode.
        """
        count = 0
        spoiled = False  # a picture that is lost takes those with it that are predicted from it, to the next key frame
        for packet in self._demux():
            if packet.pts is not None:
                self._end = max(self._end, packet.pts + (packet.duration or 0))
            real = packet.size > 0  # the last one is empty: it asks the decoder for what it holds
            self._count(packet, lost=False)
            spoiled = spoiled and not packet.is_keyframe
            try:
                frames = packet.decode()
            except FFmpegError as error:
                self._reason = error
                self._count(packet, lost=True)
                self._failed_last += real
                self.hole = True
                spoiled = self._modality == "visual"
                continue
            if real:
                self._failed_last = 0
            if spoiled:
                self._count(packet, lost=True)
            for frame in frames:
                count += 1
                yield frame
        self._check_lost(count)
        self._check_length()

    def _count(self, packet: Any, *, lost: bool) -> None:
        real = packet.size > 0
        self._packets[lost] += real
        # FFmpeg makes one packet of several damaged ones of sound, so their number says little.
        size = packet.size if self._modality == "audio" else int(real)
        self._sizes[lost] += size
        if lost and real:
            self._last_lost_size = size

    def _demux(self) -> Iterator[Any]:
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except FFmpegError as error:
                self._reason = error
                self._note_end(f"cannot be read beyond {self._seconds(self._end):.2f} s ({reason_of(error)})")
                return
            if packet is None:
                return
            yield packet

    def _check_lost(self, count: int) -> None:
        if count == 0 and self._reason is None:
            raise EmptyStreamError(f"{self._name}: announces {self._what} but nothing in it can be decoded; {REMEDY}")
        size, lost_size = self._sizes
        # A file that was cut, or that has other bytes behind its end, ends in one packet that is no sound.
        if self._modality == "audio" and self._failed_last == 1:
            lost_size -= self._last_lost_size
        share = lost_size / size if size else 1.0
        lost = f"{self._packets[1]} of {self._packets[0]} packets ({share:.0%})"
        if self._reason is not None and (count == 0 or share > MAX_LOST):
            what = f"{self._what} breaks: {lost} cannot be decoded"
            raise damage(self._name, what, self._reason, f", at most {MAX_LOST:.0%} may be lost")
        if self._packets[1]:
            self._notes.add("packets_lost", self._modality, f"{lost} of the {self._what} cannot be decoded")

    def _check_length(self) -> None:
        start_s, announced_s = self._announced()
        end_s = self._seconds(self._end)
        # A fragment that was joined late keeps the clock of the whole, and announces the end on that clock.
        there_s = max(end_s, end_s - start_s)
        if there_s < 0.9 * announced_s - 0.25:
            self._note_end(f"ends after {end_s - start_s:.2f} of {announced_s:.2f} s: the file is cut short")

    def _announced(self) -> tuple[float, float]:
        """Start and length of the stream by its container, seconds; length 0 if the container does not promise it."""
        container, stream = self._container, self._stream
        start_s = self._seconds(stream.start_time or 0)
        # FFmpeg gives a cover the length of the whole file.
        if container.format.name in ESTIMATED or "attached_pic" in flags_of(stream):
            return start_s, 0.0
        if stream.duration:
            return start_s, self._seconds(stream.duration)
        if len(container.streams) == 1 and container.duration:
            return start_s, container.duration / av.time_base
        return start_s, 0.0

    def _seconds(self, ticks: int) -> float:
        return float(ticks * self._stream.time_base)

    def _note_end(self, what_happens: str) -> None:
        self._notes.add(
            "truncated", self._modality, f"the {self._what} {what_happens}; the answer is about what is there"
        )


def damage(name: str, what: str, error: Exception, bound: str = "") -> InputError:
    """The error of a clip that FFmpeg or NumPy refuses: it is damaged, or there is too little memory for it.

    Args:
        name: How messages call the clip.
        what: What cannot be done.
        error: What FFmpeg or NumPy raised.
        bound: What was allowed.

    Returns:
        The error to raise.
    """
    # FFmpeg says EAGAIN where the system refuses it a thread.
    if isinstance(error, (MemoryError, BlockingIOError)):
        return OverLimitError(
            f"{name}: {what}: it takes more memory than this process may have; raise the limit if you trust the file"
        )
    return DamagedMediaError(f"{name}: {what} ({reason_of(error)}){bound}; {REMEDY}")


def reason_of(error: Exception) -> str:
    """FFmpeg's or the system's words for an error."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__

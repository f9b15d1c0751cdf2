"""Decoded sound to mono 16 kHz, with its holes where they are in time.

Sound is collected into stretches of some seconds. Each is mixed as a whole, so that what counts as an offset, and
which channels sound, is decided from more than a moment of it.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import av
import numpy as np
from av.audio.plane import AudioPlane
from av.error import FFmpegError
from numpy.typing import NDArray

from vavl_runtime.errors import DamagedMediaError, OversizedMediaError
from vavl_runtime.media.mixing import Mixer, as_channels
from vavl_runtime.media.packets import REMEDY, PacketReader, damage
from vavl_runtime.media.source import MAX_AMPLITUDE, SAMPLE_RATE, STRETCH_S, SoundBlock
from vavl_runtime.timing import StageTimer

SAMPLE_RATES = range(4_000, 768_001)
GAP_S = 0.2  # a longer jump of the time stamps is a gap in the sound
_PLANAR = {"u8p": "u1", "s16p": "i2", "s32p": "i4", "fltp": "f4", "dblp": "f8"}  # NumPy's element types
_STRETCH_VALUES = 1 << 22  # samples of all channels: bounds the memory of recordings with many channels


def read_sound(
    reader: PacketReader, start_s: float, name: str, timer: StageTimer, most_samples: int
) -> Iterator[SoundBlock]:
    """Decode a stream of sound.

    The sample rate and the number of channels may change on the way. A clock that restarts goes on where it was.

    Args:
        reader: Decodes the stream.
        start_s: Time stamp of the clip's start, seconds.
        name: How messages call the clip.
        timer: Where mixing and resampling are booked.
        most_samples: In the whole stream, those of all channels together.

    Yields:
        Sound in order; a block starts later than the one before ends where there is a hole.

    Raises:
        InputError: As `PacketReader.frames`; or the sound has an absurd rate, absurd samples or too many.
    """
    left = most_samples
    clock = _Clock(start_s)
    segment: _Segment | None = None
    for frame in reader.frames():
        check_rate(frame.sample_rate, name)
        left -= frame.samples * frame.layout.nb_channels
        if left < 0:
            raise OversizedMediaError(f"{name}: the sound has more than {most_samples} samples; cut it into pieces")
        starts_s = clock.place(frame, after_loss=reader.hole)
        reader.hole = False
        if segment is None or starts_s is not None or segment.form != _form(frame):
            if segment is not None:
                yield from segment.flush()
            segment = _Segment(frame, clock.end_s if starts_s is None else starts_s, name, timer)
        clock.advance(frame)
        yield from segment.add(frame)
    if segment is not None:
        yield from segment.flush()


def check_rate(rate: int, name: str) -> None:
    """Refuse an absurd sample rate.

    Raises:
        OversizedMediaError: It is not among `SAMPLE_RATES`.
    """
    if rate not in SAMPLE_RATES:
        raise OversizedMediaError(
            f"{name}: sound at {rate} Hz, expected {SAMPLE_RATES[0]} to {SAMPLE_RATES[-1]} Hz; {REMEDY}"
        )


class _Clock:
    """Counts samples, and follows the time stamps only where they tell of a hole: they jitter otherwise."""

    def __init__(self, start_s: float) -> None:
        self._zero_s = start_s  # the stamp that means the clip's start; moves when the stamps start again
        self._expected_s: float | None = None  # the stamp of the next frame
        self.end_s = 0.0

    def place(self, frame: Any, *, after_loss: bool) -> float | None:
        """Where a frame starts, if that is not simply the end of the one before."""
        if frame.time is None:
            return None
        if self._expected_s is None:
            self.end_s = max(0.0, frame.time - self._zero_s)
            return self.end_s
        if frame.time < self._expected_s - GAP_S:
            self._zero_s = frame.time - self.end_s
            return None
        jump_s = frame.time - self._zero_s - self.end_s
        if jump_s > GAP_S or (after_loss and jump_s > 0.0):
            self.end_s += jump_s
            return self.end_s
        return None

    def advance(self, frame: Any) -> None:
        """Go to the end of a frame."""
        seconds = frame.samples / frame.sample_rate
        self.end_s += seconds
        stamp = self._expected_s if frame.time is None else frame.time
        self._expected_s = None if stamp is None else stamp + seconds


class _Segment:
    """Sound of one form without a hole: mixed, resampled, its time counted from its first sample."""

    def __init__(self, frame: Any, start_s: float, name: str, timer: StageTimer) -> None:
        self.form = _form(frame)
        self._rate = frame.sample_rate
        self._channels = frame.layout.nb_channels
        self._planar = frame.format.is_planar
        self._most = max(1, min(round(STRETCH_S * self._rate), _STRETCH_VALUES // self._channels))
        self._name = name
        self._timer = timer
        self._start_s = start_s
        self._mixer = Mixer()
        self._resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)
        self._parts: list[NDArray[np.generic]] = []
        self._held = 0
        self._given = 0

    def add(self, frame: Any) -> Iterator[SoundBlock]:
        """Take a decoded frame."""
        try:
            self._parts.append(_samples(frame))
        except ValueError as error:
            raise DamagedMediaError(f"{self._name}: sound cannot be converted ({error}); {REMEDY}") from error
        self._held += frame.samples
        if self._held >= self._most:
            yield from self._mix()

    def flush(self) -> Iterator[SoundBlock]:
        """Give what is still held."""
        if self._held:
            yield from self._mix()
        if self._rate != SAMPLE_RATE:
            with self._timer.stage("resample"), _damage(self._name):
                resampled = self._resampler.resample(None)
            yield from self._blocks([part.to_ndarray()[0] for part in resampled])

    def _mix(self) -> Iterator[SoundBlock]:
        with self._timer.stage("resample"), _damage(self._name):
            channels = as_channels(self._parts, self._channels, planar=self._planar)
            self._parts, self._held = [], 0
            if not (max(channels.max(), -channels.min()) <= MAX_AMPLITUDE):  # NaN compares as false
                raise DamagedMediaError(f"{self._name}: sound holds NaN, infinite or absurdly large samples; {REMEDY}")
            mono = self._mixer.mono(channels)
            resampled = [mono]
            if self._rate != SAMPLE_RATE:
                frame = av.AudioFrame.from_ndarray(mono[None], format="flt", layout="mono")
                frame.sample_rate = self._rate
                resampled = [part.to_ndarray()[0] for part in self._resampler.resample(frame)]
        yield from self._blocks(resampled)

    def _blocks(self, parts: list[NDArray[np.float32]]) -> Iterator[SoundBlock]:
        for samples in parts:
            if samples.size:
                yield SoundBlock(self._start_s + self._given / SAMPLE_RATE, samples)
                self._given += samples.size


def _samples(frame: Any) -> NDArray[np.generic]:
    """The samples of a frame: one row for each channel of a planar format, else one row.

    PyAV's ``to_ndarray`` and ``planes`` take planes up to the first null pointer. With eight channels or more there may
    be none after the last, and what follows is no memory of the frame: reading it is an error or ends the process.

    Raises:
        ValueError: The format is unknown.
    """
    if not frame.format.is_planar:
        samples: NDArray[np.generic] = frame.to_ndarray()
        return samples
    kind = _PLANAR.get(frame.format.name)
    if kind is None:
        raise ValueError(f"samples of the format {frame.format.name}")
    planes: Iterator[Any] = (AudioPlane(frame, channel) for channel in range(frame.layout.nb_channels))
    return np.stack([np.frombuffer(plane, kind, count=frame.samples) for plane in planes])


def _form(frame: Any) -> tuple[int, int, str]:
    return frame.sample_rate, frame.layout.nb_channels, frame.format.name


@contextlib.contextmanager
def _damage(name: str) -> Iterator[None]:
    """Report what FFmpeg or NumPy refuse as damage."""
    try:
        yield
    except (FFmpegError, ValueError) as error:
        raise damage(name, "sound cannot be resampled", error) from error

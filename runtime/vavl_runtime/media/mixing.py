"""Many channels to one, as loud as a listener would hear the voice.

FFmpeg's own mix is made for loudspeakers: to float it does not normalise, so that two equal channels come out 3 dB
louder and six 10.7 dB, and channels without a known layout cannot be mixed at all.
"""

import numpy as np
from numpy.typing import NDArray

SOUNDING = 1e-3  # a channel with less than this share of the strongest one's power (-30 dB) does not count
OPPOSED = -0.5  # a channel whose correlation with the strongest one is lower would cancel it
_LEAD = 2.0  # another channel must be this much stronger to become the strongest: its sign must not come and go
_SCALES = {"u1": 2.0**-7, "i2": 2.0**-15, "i4": 2.0**-31, "i8": 2.0**-63}


class Mixer:
    """Mixes stretches of one sound; remembers which channel was the strongest."""

    def __init__(self) -> None:
        self._strongest: int | None = None

    def mono(self, channels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Remove the offset of each channel, and take the mean of those that sound and do not oppose the strongest.

        Args:
            channels: A stretch of sound, finite, shape (C, S), not empty; its offsets are removed in place.

        Returns:
            One channel, never above the loudest of those that came in (their offsets removed), shape (S,).
        """
        channels -= channels.mean(axis=1, keepdims=True)
        chosen = channels[self._choose(channels)] if len(channels) > 1 else channels
        mono: NDArray[np.float32] = chosen[0]
        if len(chosen) > 1:
            for channel in chosen[1:]:  # a reduction over the first axis takes three times as long
                mono += channel
            mono *= np.float32(1.0 / len(chosen))
        return mono

    def _choose(self, channels: NDArray[np.float32]) -> slice | NDArray[np.bool_]:
        power = np.einsum("cs,cs->c", channels, channels).astype(np.float64)
        strongest = int(power.argmax())
        if self._strongest is not None and power[strongest] < _LEAD * power[self._strongest]:
            strongest = self._strongest
        self._strongest = strongest
        common = np.einsum("cs,s->c", channels, channels[strongest]).astype(np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            correlation = common / np.sqrt(power * power[strongest])
        chosen = (power >= SOUNDING * power[strongest]) & ~(correlation <= OPPOSED)  # NaN where nothing sounds
        return slice(None) if chosen.all() else chosen


def as_channels(parts: list[NDArray[np.generic]], count: int, *, planar: bool) -> NDArray[np.float32]:
    """Join decoded frames.

    Args:
        parts: Samples as FFmpeg gives them, of one type: shape (C, S) if planar, (1, S * C) if not.
        count: Number of channels.
        planar: Whether each channel has a row of its own.

    Returns:
        The samples with full scale at 1, shape (C, S).
    """
    joined = np.concatenate(parts, axis=1)
    rows = joined if planar else joined.reshape(-1, count).T
    scale = _SCALES.get(rows.dtype.str[1:], 1.0)
    samples = rows.astype(np.float32, order="C")  # a row is much faster to work on if it is contiguous
    if rows.dtype.kind == "u":
        samples -= 128.0
    if scale != 1.0:
        samples *= np.float32(scale)
    return samples

"""Tells sound from silence by the energy that a voice could have.

A muted microphone is not digital silence: it clicks, hums, hisses, or has an offset. None of these counts here. What
counts is energy between 250 and 5000 Hz that lasts as long as a syllable. Unless it is loud, it must also come and go.
"""

import itertools
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from vavl_runtime.media.source import SAMPLE_RATE

BAND_HZ = (250.0, 5000.0)  # above the first harmonics of mains hum, also as far as the frames below smear them
LASTS_S = 0.112  # a syllable lasts as long; a click, smeared by a codec, does not
CREST_DB = 16.0  # the level of the loudest syllable lies at most so far below the peak of a recording
LOUD_DBFS = -40.0  # louder sound counts even if it is steady
STEADY = 6.0  # energy up to so many times the median of its frequency is steady: hum and hiss

_FRAME, _HOP = 512, 256  # 32 ms, 16 ms
_RUN = round((LASTS_S * SAMPLE_RATE - _FRAME) / _HOP) + 1  # frames in a row
_HANN = np.hanning(_FRAME + 1)[:-1].astype(np.float32)
_FREQUENCIES = np.fft.rfftfreq(_FRAME, 1 / SAMPLE_RATE)
_BAND = np.flatnonzero((BAND_HZ[0] <= _FREQUENCIES) & (BAND_HZ[1] >= _FREQUENCIES))
_SCALE = 2.0 / (_FRAME * float(np.square(_HANN).sum()))  # to the mean square of the signal
_AT_ONCE = 1 << 9  # frames: bounds the memory of a long window


def is_heard(samples: NDArray[np.float32], silence_dbfs: float) -> bool:
    """Decide whether sound is more than the noise of a muted microphone.

    Args:
        samples: Mono 16 kHz, full scale 1, shape (S,).
        silence_dbfs: Speech whose peak stays below this level counts as silence.

    Returns:
        Whether a stretch of at least `LASTS_S` (or all of a shorter sound) has energy that a voice could have.
    """
    if not len(samples):
        return False
    loud = max(_mean_square(LOUD_DBFS), _mean_square(silence_dbfs - CREST_DB))
    kept = []
    before = np.zeros(0, bool)
    for powers in _powers(samples):
        kept.append(powers)
        above = np.concatenate([before, powers.sum(axis=1) >= loud])
        if _longest(above) >= _RUN:
            return True  # most windows end here, early
        before = above[-_RUN:]
    powers = np.concatenate(kept)
    if len(powers) < _RUN:  # too short to tell what is steady
        return bool((powers.sum(axis=1) >= loud).all())
    varying = np.maximum(powers - STEADY * np.median(powers, axis=0), 0.0).sum(axis=1)
    return _longest(varying >= _mean_square(silence_dbfs - CREST_DB)) >= _RUN


def _powers(samples: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    """Mean square of each frame in each frequency of the band, shape (frames, frequencies), some frames at a time."""
    if len(samples) < _FRAME:
        samples = np.pad(samples, (0, _FRAME - len(samples)))
    frames = np.lib.stride_tricks.sliding_window_view(samples, _FRAME)[::_HOP]
    # The first look is short: it mostly suffices.
    bounds = [0, *range(_AT_ONCE // 8, len(frames), _AT_ONCE), len(frames)]
    for start, end in itertools.pairwise(bounds):
        part = frames[start:end]
        centred = part - part.mean(axis=1, keepdims=True)  # an offset would smear into the band
        spectra = np.fft.rfft(centred * _HANN, axis=1)[:, _BAND]
        yield (_SCALE * (spectra.real**2 + spectra.imag**2)).astype(np.float32)


def _mean_square(dbfs: float) -> float:
    return float(10.0 ** (dbfs / 10.0))


def _longest(flags: NDArray[np.bool_]) -> int:
    """Length of the longest run of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return int((edges[1::2] - edges[::2]).max(initial=0))

"""Puts the features of faces on the model's own clock, so that the answer does not depend on the frame rate.

With a token a frame, a film of half the frame rate would be half as long for the model, and look twice as fast.
"""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

GAP_S = 0.5  # faces further apart are not connected: nobody knows what the face did in between
_JITTER = 0.02  # of a token: time stamps in whole milliseconds must not blur the features


def on_clock(features: NDArray[np.float32], times_s: NDArray[np.float64], rate: float) -> NDArray[np.float32]:
    """Interpolate features at even times.

    Args:
        features: One feature a face, float32, shape (N, F), N at least 1.
        times_s: When each face was seen, seconds, never decreasing, shape (N,).
        rate: Tokens a second.

    Returns:
        Tokens, float32, shape (T, F), T at least 1. The first token is the first face. Between faces that are more than
        `GAP_S` apart there are none.

    Example:
        >>> on_clock(np.float32([[0], [2]]), np.array([0.0, 0.2]), rate=10).ravel().tolist()
        [0.0, 1.0, 2.0]
    """
    places = (times_s - times_s[0]) * rate  # of the faces, counted in tokens
    nearest = places.round()
    places = np.where(np.abs(places - nearest) < _JITTER, nearest, places)
    breaks = np.flatnonzero(np.diff(times_s) > GAP_S) + 1
    stretches = pairwise([0, *breaks.tolist(), len(places)])
    return np.concatenate([_stretch(features[start:end], places[start:end]) for start, end in stretches])


def _stretch(features: NDArray[np.float32], places: NDArray[np.float64]) -> NDArray[np.float32]:
    """The tokens of connected faces; of faces that lie between two tokens, the first face."""
    tokens = np.arange(np.ceil(places[0]), np.floor(places[-1]) + 1)
    if not len(tokens):
        return features[:1]
    right = np.searchsorted(places, tokens).clip(max=len(places) - 1)
    left = np.maximum(right - 1, 0)
    width = np.maximum(places[right] - places[left], 1e-9)
    share = ((tokens - places[left]) / width).clip(0.0, 1.0).astype(np.float32)[:, None]
    values: NDArray[np.float32] = features[left] * (1.0 - share) + features[right] * share
    return values

"""Whether sound and face are there at the same time for long enough to be understood together."""

from dataclasses import dataclass

ENOUGH = 0.25  # share of a window in which both must be there for the audio-visual path


@dataclass(frozen=True)
class Stretch:
    """Where a window has a modality.

    Attributes:
        start_s: Time of the first sound or face, seconds.
        end_s: Time after the last, seconds.
        covered_s: How much of it has sound or a face, seconds.
    """

    start_s: float
    end_s: float
    covered_s: float


def enough_together(audio: Stretch, visual: Stretch, window_s: float) -> bool:
    """Decide whether a window is audio-visual.

    Args:
        audio: Where it has sound.
        visual: Where it has a face.
        window_s: Its length, seconds.

    Returns:
        Whether both are there in `ENOUGH` of it.

    Example:
        >>> always, early = Stretch(0.0, 10.0, 10.0), Stretch(0.0, 2.0, 2.0)
        >>> enough_together(always, always, 10.0), enough_together(always, early, 10.0)
        (True, False)
    """
    both_s = min(audio.end_s, visual.end_s) - max(audio.start_s, visual.start_s)
    return min(both_s, audio.covered_s, visual.covered_s) >= ENOUGH * window_s

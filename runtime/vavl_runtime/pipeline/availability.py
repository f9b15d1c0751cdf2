"""Which modalities a clip really has, decided from the data, with a reason for each that is not used."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vavl_runtime.bundle.manifest import Limits, PathName
from vavl_runtime.errors import InputError
from vavl_runtime.media import Source
from vavl_runtime.result import FaceCount, Reasons

Modality = Literal["audio", "visual"]
Use = Literal["auto", "audio", "visual"]  # what the user asks for


class Presence:
    """What has been found of each modality so far.

    Args:
        source: The clip.
        use: ``auto``, or the one modality the user wants.
        faults: Modalities that turned out to be broken in an earlier pass.
    """

    def __init__(self, source: Source, use: Use, faults: dict[Modality, InputError]) -> None:
        self._announced = {"audio": source.has_audio, "visual": source.has_video}
        self._use = use
        self._faults = faults
        self._heard = False
        self._long_enough = False
        self._frames = 0
        self._with_face = 0

    def wanted(self, modality: Modality) -> bool:
        """Whether the clip announces a modality, the user wants it, and it is not known to be broken."""
        return self._announced[modality] and self._use in ("auto", modality) and modality not in self._faults

    def hear(self, samples: NDArray[np.float32], limits: Limits) -> bool:
        """Note a window of sound.

        Args:
            samples: Mono 16 kHz, shape (S,).
            limits: Shortest sound and silence level.

        Returns:
            Whether it is long and loud enough to be used.
        """
        if len(samples) < limits.minimum_samples:
            return False
        self._long_enough = True
        loud = bool(np.abs(samples).max() >= 10.0 ** (limits.silence_dbfs / 20.0))
        self._heard |= loud
        return loud

    def see(self, face: bool) -> None:
        """Note a frame."""
        self._frames += 1
        self._with_face += face

    @property
    def faces(self) -> FaceCount:
        """Frames processed so far."""
        return FaceCount(self._frames, self._with_face)

    def reasons(self, path: PathName | None) -> Reasons:
        """Explain why a modality is not used, given the path that is."""
        audio = self._absence("audio", "no_audio_stream", self._heard, "silence" if self._long_enough else "too_short")
        visual = self._absence("visual", "no_video_stream", self._with_face > 0, "no_face")
        # Present, but missing in most windows of a long clip.
        if path == "audio":
            visual = visual or "mostly_absent"
        if path == "visual":
            audio = audio or "mostly_absent"
        return Reasons(audio, visual)

    def _absence(self, modality: Modality, missing: str, found: bool, otherwise: str) -> str | None:
        if not self._announced[modality]:
            return missing
        if modality in self._faults:
            return self._faults[modality].kind
        if self._use not in ("auto", modality):
            return "user_choice"
        return None if found else otherwise

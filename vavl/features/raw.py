"""Raw material in place of features: samples and face crops, for training the encoders themselves.

The same reader, windows and crops as for features; what would go into an encoder is kept instead of what comes out.
"""

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from vavl.encoders.base import FACE_SIZE
from vavl.features.encoding import TorchGraphs
from vavl_runtime.backends.base import Arrays

CROP_BYTES = FACE_SIZE * FACE_SIZE * 3


@dataclass(frozen=True)
class RawChoice:
    """What is kept.

    Attributes:
        every: Of each run of four frames with a face, how many are kept: every frame (1), every second (2), or one (4).
            Neighbouring frames are nearly alike, and a crop takes 147 KiB.
    """

    every: int = 4


class RawGraphs:
    """Stands where `TorchGraphs` would and passes on what it gets; only the face detector runs.

    Args:
        choice: What is kept.
    """

    def __init__(self, choice: RawChoice) -> None:
        self._every = choice.every
        self._detector = TorchGraphs(None, None)

    def __call__(self, name: str, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Pass on sound as (1, S, 1), crops as rows of bytes (N, 224 * 224 * 3); run the detector's nets."""
        if name == "audio_encoder":
            return {"audio_features": inputs["waveform"][:, :, None]}
        if name == "face_encoder":
            faces = inputs["faces"][:: self._every]
            return {"face_features": faces.reshape(len(faces), CROP_BYTES)}
        return self._detector(name, inputs)

"""Raw material in place of features: audio samples and face crops, on which the encoders themselves are trained.

Reader, windows and crops are the same as for features, but the input of the encoders is kept and not their output.
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
    """How much raw material is kept.

    Attributes:
        every: Keep every n-th frame with a face. Neighbouring frames are nearly equal, and a crop takes 147 KiB.
    """

    every: int = 4


class RawGraphs:
    """Takes the place of `TorchGraphs` and returns the encoders' input unchanged; only the face detector runs.

    Args:
        choice: How much is kept.
    """

    def __init__(self, choice: RawChoice) -> None:
        self._every = choice.every
        self._detector = TorchGraphs(None, None)

    def __call__(self, name: str, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Return audio as (1, S, 1) and crops as rows of bytes (N, 224 * 224 * 3); run the detector's networks."""
        if name == "audio_encoder":
            return {"audio_features": inputs["waveform"][:, :, None]}
        if name == "face_encoder":
            faces = inputs["faces"][:: self._every]
            return {"face_features": faces.reshape(len(faces), CROP_BYTES)}
        return self._detector(name, inputs)

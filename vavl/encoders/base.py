"""The interfaces of audio encoders and face encoders."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Generic, TypeVar

from torch import Tensor, nn

SAMPLE_RATE = 16_000
FACE_SIZE = 224


class AudioEncoder(nn.Module, ABC):
    """Encodes audio to 50 feature tokens per second (wav2vec2) or 12.5 (light).

    Attributes:
        dim: Width of the features, F_a.
        minimum_samples: Number of samples of the shortest waveform that gives a token.
        frozen: Prefixes of the names of parameters that training does not change.
        version: Increased whenever the code computes other features from the same weights.
    """

    dim: int
    minimum_samples: int
    frozen: tuple[str, ...] = ()
    version: int = 1

    @abstractmethod
    def output_lengths(self, samples: Tensor) -> Tensor:
        """Number of tokens for a number of samples, int64, same shape."""

    @abstractmethod
    def forward(self, waveform: Tensor, samples: Tensor) -> tuple[Tensor, Tensor]:
        """Encode a padded batch. A clip's tokens depend neither on its padding nor on other clips of the batch.

        Args:
            waveform: Mono 16 kHz float32 in [-1, 1], shape (B, S).
            samples: Valid samples of each clip, int64, shape (B,), each at least `minimum_samples`.

        Returns:
            Features (B, T, dim), and the number of valid tokens (B,), int64.
        """


class FaceEncoder(nn.Module, ABC):
    """Encodes each face crop to one feature vector.

    Attributes:
        dim: Width of the features, F_v.
        frozen: Prefixes of the names of parameters that training does not change.
        version: Increased whenever the code computes other features from the same weights.
    """

    dim: int
    frozen: tuple[str, ...] = ()
    version: int = 1

    @abstractmethod
    def forward(self, faces: Tensor) -> Tensor:
        """Encode RGB crops, uint8, shape (N, 224, 224, 3), to features (N, dim)."""


EncoderT = TypeVar("EncoderT", bound=nn.Module)


@dataclass(frozen=True)
class LoadedEncoder(Generic[EncoderT]):
    """An encoder and the origin of its weights.

    Attributes:
        module: The encoder, in evaluation mode.
        reference: The reference string it was loaded from.
        trained: False for random weights, which mark a bundle ``untrained``.
        weights_sha256: Hash of its version, settings, parameters and buffers, independent of the file format.
    """

    module: EncoderT
    reference: str
    trained: bool
    weights_sha256: str

"""The two small interfaces behind which every feature encoder stands."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Generic, TypeVar

from torch import Tensor, nn

SAMPLE_RATE = 16_000
FACE_SIZE = 224


class AudioEncoder(nn.Module, ABC):
    """Sound to features: 50 tokens a second (wav2vec2) or 12.5 (light).

    Attributes:
        dim: Width of the features, F_a.
        minimum_samples: Shortest waveform that gives one token.
        frozen: Prefixes of parameters that training leaves alone.
        version: Goes up whenever the same weights give other features.
    """

    dim: int
    minimum_samples: int
    frozen: tuple[str, ...] = ()
    version: int = 1

    @abstractmethod
    def output_lengths(self, samples: Tensor) -> Tensor:
        """Tokens that a number of samples gives, int64, same shape."""

    @abstractmethod
    def forward(self, waveform: Tensor, samples: Tensor) -> tuple[Tensor, Tensor]:
        """Encode a padded batch; a clip's tokens depend neither on its padding nor on its batch-mates.

        Args:
            waveform: Mono 16 kHz float32 in [-1, 1], shape (B, S).
            samples: Valid samples of each clip, int64, shape (B,), each at least `minimum_samples`.

        Returns:
            Features (B, T, dim), and valid tokens (B,), int64.
        """


class FaceEncoder(nn.Module, ABC):
    """Face crops to one feature vector each.

    Attributes:
        dim: Width of the features, F_v.
        frozen: Prefixes of parameters that training leaves alone.
        version: Goes up whenever the same weights give other features.
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
    """An encoder with where its weights come from.

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

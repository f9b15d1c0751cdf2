"""How systems and feature encoders are trained, as validated settings; importable without PyTorch.

The text below each field is its documentation and the help of the command-line option made from it.
"""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from vavl.config import Positive, Probability, StrictModel

NonNegative = Annotated[float, Field(ge=0)]
AboveZero = Annotated[float, Field(gt=0)]


class FitSettings(StrictModel):
    """How a system is trained; the defaults are the paper's (§4.3).

    Example:
        >>> FitSettings(epochs=5).learning_rate
        5e-05
    """

    model_config = ConfigDict(use_attribute_docstrings=True)

    epochs: Positive = 20
    """Passes over the training set."""
    batch_size: Positive = 32
    """Windows per batch per process; the paper has 32 for CREMA-D and 16 for MSP-IMPROV."""
    learning_rate: AboveZero = 5e-5
    """Adam learning rate."""
    schedule: Literal["constant", "cosine"] = "constant"
    """Learning-rate schedule: 'constant', or 'cosine' (a tenth of warm-up, then down to zero)."""
    weight_decay: NonNegative = 0.0
    """Decoupled weight decay (AdamW); 0 is plain Adam."""
    clip_norm: AboveZero | None = None
    """Clip the gradient norm of each step to this value; no clipping by default."""
    feature_noise: NonNegative = 0.0
    """Add a random offset to each clip's features, as a multiple of each feature's standard deviation."""
    repeat_paired: Positive = 1
    """Show windows that have both modalities this many times per epoch; for corpora where most clips lack one."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Seed of weights, order, dropout and noise."""
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    """Arithmetic: '32-true', 'bf16-mixed' or '16-mixed'."""
    selection: Literal["audio_visual", "mean", "last"] = "audio_visual"
    """Epoch to keep: best development score of the 'audio_visual' path (D22), best 'mean' over all paths, or 'last'."""


class EncoderSettings(StrictModel):
    """How a feature encoder is trained; the defaults are the paper's (§4.2).

    Example:
        >>> EncoderSettings().hidden
        1024
    """

    model_config = ConfigDict(use_attribute_docstrings=True)

    epochs: Positive = 10
    """Passes over the training set."""
    batch_size: Positive = 32
    """Clips (audio) or frames (faces) per batch."""
    learning_rate: AboveZero = 1e-4
    """Adam learning rate."""
    hidden: Positive = 1024
    """Width of the head's two hidden layers."""
    dropout: Probability = 0.5
    """Dropout probability in the head's hidden layers."""
    augment: bool = False
    """Augment at random: speed, pitch and loudness of sound; mirroring, brightness and contrast of faces."""
    seed: int = 0
    """Seed of head, order, dropout and augmentation."""

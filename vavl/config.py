"""The complete, validated configuration of a VAVL model; importable without PyTorch.

The defaults are the paper's (§4.3). D-numbers are the catalogued differences between the paper and the
released code; `docs/decisions.md` lists the ones that matter here.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from vavl.errors import ConfigError, list_invalid

Positive = Annotated[int, Field(gt=0)]
Task = Literal["classification", "regression"]
Probability = Annotated[float, Field(ge=0, lt=1)]


def _named(dynamics: Any) -> Any:
    """The name of what earlier versions wrote as a boolean."""
    return {True: "frames", False: "off"}[dynamics] if isinstance(dynamics, bool) else dynamics


Dynamics = Annotated[Literal["off", "spread", "frames"], BeforeValidator(_named)]

CREMA_D_CLASSES = ("angry", "sad", "disgust", "fear", "neutral", "happy")  # the released index order, D17


class StrictModel(BaseModel):
    """A frozen pydantic model that refuses unknown keys, NaN and infinities."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class WaveformNormalization(StrictModel):
    """How the audio encoder normalises the waveform, as its first operation.

    Attributes:
        kind: ``utterance`` subtracts the clip's mean and divides by its standard deviation, as wav2vec2's own
            feature extractor does; ``global`` takes two training-set scalars, as released VAVL does (D12);
            ``none`` leaves samples in [-1, 1] unchanged.
        mean: The training-set mean, for ``global``.
        std: The training-set standard deviation, for ``global``.
    """

    kind: Literal["none", "utterance", "global"] = "utterance"
    mean: float = 0.0
    std: Annotated[float, Field(gt=0)] = 1.0


class VavlConfig(StrictModel):
    """Architecture, task and feature widths of one VAVL model.

    Attributes:
        layout: ``paper`` attends over time and masks padding everywhere; ``released`` reproduces the arithmetic of
            the released code, which attends over the batch and must therefore run at batch 1 (D1).
        task: ``classification`` (softmax over classes) or ``regression`` (attribute scores).
        labels: Class or attribute names in output order (D17, D18).
        scale: Lowest and highest label of the annotation scale; regression targets are mapped to [0, 1]
            for training and back inside the graph (D19).
        flipped: Attributes that the network predicts inverted (D3); the graph inverts them back.
        audio_dim: Width of the audio features, F_a.
        visual_dim: Width of the visual features, F_v.
        projection_dim: Width after the temporal projection.
        projection_kernel: Taps of the temporal projection, odd. The paper asks for frames
            "aware of its neighboring elements" but gives no size; the released code uses 1 (D5).
        width: Width of the conformer encoders, D.
        heads: Attention heads.
        audio_layers: Conformer blocks of the audio branch.
        visual_layers: Conformer blocks of the visual branch.
        shared_layers: Conformer blocks of the shared branch.
        feed_forward_mult: Hidden width of a feed-forward module, as a multiple of ``width``.
        conv_kernel: Taps of the depthwise convolution, odd.
        dropout: Dropout inside the conformer.
        head_dropout: Dropout inside the prediction and reconstruction heads.
        head_hidden: Widths of the two hidden layers of every head.
        residual: Use the residual over the shared layers (off in ablation 1).
        reconstruction: Use the reconstruction heads (off in ablation 2).
        audio_visual_head: Use the audio-visual head. Without it (ablation 3) the two unimodal predictions are averaged.
        discriminants: Replace each modality's features by their C - 1 linear discriminants (Fisher), fitted to the
            means of the training set's windows, and add their log likelihoods to the logits; the network learns a
            correction to them. Not in the paper. It helps on small corpora, where a network alone is worse on new
            speakers than the discriminants alone.
        visual_dynamics: What is appended to each visual feature about its movement over the clip. ``spread``: the mean
            distance of the groups of ``visual_pool`` frames from their mean. ``frames``: the mean distance of single
            frames from their mean, and the mean change from frame to frame. ``off`` in the paper. Movement helps
            encoders that see one frame at a time, whose features describe the person more than the expression. The
            change from frame to frame depends on the frame rate; the spread hardly does. Checkpoints of earlier
            versions have true for ``frames`` and false for ``off``.
        visual_pool: Number of frames that are averaged to one token before the projection; 1 in the paper. Faces change
            slowly compared with the frame rate, and the encoder's work grows with the square of the tokens.
        max_tokens: Longest sequence of features; size of the position table.
        waveform_normalization: Applied inside the audio encoder.

    Example:
        >>> VavlConfig(width=256, heads=4).labels
        ('angry', 'sad', 'disgust', 'fear', 'neutral', 'happy')
    """

    layout: Literal["paper", "released"] = "paper"
    task: Task = "classification"
    labels: tuple[str, ...] = CREMA_D_CLASSES
    scale: tuple[float, float] = (1.0, 5.0)
    flipped: tuple[str, ...] = ()
    audio_dim: Positive = 1024
    visual_dim: Positive = 1408
    projection_dim: Positive = 50
    projection_kernel: Positive = 3
    width: Positive = 512
    heads: Positive = 8
    audio_layers: Positive = 3
    visual_layers: Positive = 3
    shared_layers: Positive = 2
    feed_forward_mult: Positive = 4
    conv_kernel: Positive = 31
    dropout: Probability = 0.1
    head_dropout: Probability = 0.2
    head_hidden: tuple[Positive, Positive] = (512, 256)
    residual: bool = True
    reconstruction: bool = True
    audio_visual_head: bool = True
    discriminants: bool = False
    visual_dynamics: Dynamics = "off"
    visual_pool: Positive = 1
    max_tokens: Annotated[int, Field(ge=64, le=16384)] = 1500
    waveform_normalization: WaveformNormalization = WaveformNormalization()

    @model_validator(mode="after")
    def _consistent(self) -> "VavlConfig":
        problems = [*self._size_problems(), *self._output_problems()]
        if self.layout == "released":
            problems += self._released_problems()
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _size_problems(self) -> Iterator[str]:
        if self.width % (2 * self.heads):
            yield f"width {self.width} must be a multiple of 2 x heads ({2 * self.heads})"
        for name in ("projection_kernel", "conv_kernel"):
            if getattr(self, name) % 2 == 0:
                yield f"{name} {getattr(self, name)} must be odd, so that output frames stay aligned"

    def _output_problems(self) -> Iterator[str]:
        if len(self.labels) < (2 if self.task == "classification" else 1) or len(set(self.labels)) < len(self.labels):
            yield f"labels {self.labels} must be distinct, and at least two for classification"
        if not self.scale[0] < self.scale[1]:
            yield f"scale {self.scale} must go from low to high"
        if unknown := set(self.flipped) - set(self.labels):
            yield f"flipped {sorted(unknown)} must be among labels {self.labels}"
        if self.flipped and self.task == "classification":
            yield "flipped applies to regression only; remove it"
        if self.discriminants and self.task == "regression":
            yield "discriminants apply to classification only; turn them off"

    def _released_problems(self) -> Iterator[str]:
        if self.projection_kernel != 1:
            yield f"layout released needs projection_kernel 1 (D5), got {self.projection_kernel}"
        if not (self.residual and self.audio_visual_head):
            yield "layout released needs the residual and the audio-visual head"
        if self.discriminants or self.visual_dynamics != "off" or self.visual_pool > 1:
            yield "layout released cannot have discriminants, visual_dynamics or visual_pool"

    @classmethod
    def create(cls, **values: object) -> "VavlConfig":
        """Build a configuration from keyword arguments or parsed JSON.

        Raises:
            ConfigError: Keys are unknown, types are wrong, or values contradict each other; all are listed.

        Example:
            >>> VavlConfig.create(width=100)
            Traceback (most recent call last):
            ...
            vavl.errors.ConfigError: configuration: width 100 must be a multiple of 2 x heads (16)
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise ConfigError(f"configuration: {list_invalid(error)}") from error

    @classmethod
    def read(cls, path: Path) -> "VavlConfig":
        """Read a configuration from a JSON file.

        Raises:
            ConfigError: The file is missing, not JSON, or not a valid configuration.
        """
        import json

        try:
            values = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise ConfigError(f"{path}: not a readable JSON configuration ({error})") from error
        if not isinstance(values, dict):
            raise ConfigError(f"{path}: got a JSON {type(values).__name__}, expected an object of settings")
        return cls.create(**values)


def paper_config(**changes: object) -> VavlConfig:
    """The paper's model: wav2vec2-large (1024-D) and EfficientNet-B2 (1408-D) features, 52 M parameters.

    Args:
        **changes: Fields of `VavlConfig` that differ.

    Raises:
        ConfigError: The changes do not make a valid configuration.

    Example:
        >>> paper_config(task="regression", labels=("arousal", "valence")).audio_dim
        1024
    """
    return VavlConfig.create(**changes)


def light_config(**changes: object) -> VavlConfig:
    """The model for small devices and small corpora: a narrow network with more dropout, on linear discriminants.

    Args:
        **changes: Fields of `VavlConfig` that differ.

    Raises:
        ConfigError: The changes do not make a valid configuration.

    Example:
        >>> light_config().width
        64
    """
    light: dict[str, object] = {
        "audio_dim": 284,
        "visual_dim": 275,
        "discriminants": changes.get("task") != "regression",
        "visual_dynamics": "spread",
        "visual_pool": 4,
        "projection_dim": 32,
        "width": 64,
        "heads": 4,
        "audio_layers": 1,
        "visual_layers": 1,
        "shared_layers": 1,
        "conv_kernel": 7,
        "head_hidden": (64, 32),
        "dropout": 0.3,
        "head_dropout": 0.5,
    }
    return VavlConfig.create(**{**light, **changes})


PRESETS: Mapping[str, Callable[..., VavlConfig]] = MappingProxyType({"paper": paper_config, "light": light_config})
"""Configurations by name; each takes the fields to change as keyword arguments."""

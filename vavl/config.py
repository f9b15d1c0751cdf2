"""One validated object that describes a VAVL model completely; importable without PyTorch.

Numbers default to the paper (§4.3). D-numbers are the catalogued differences between the paper and the
released code; `docs/decisions.md` lists the ones that matter here.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from vavl.errors import ConfigError, list_invalid

Positive = Annotated[int, Field(gt=0)]
Task = Literal["classification", "regression"]
Probability = Annotated[float, Field(ge=0, lt=1)]

CREMA_D_CLASSES = ("angry", "sad", "disgust", "fear", "neutral", "happy")  # the released index order, D17


class StrictModel(BaseModel):
    """A frozen pydantic model that refuses unknown keys, NaN and infinities."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class WaveformNormalization(StrictModel):
    """How sound is normalised inside the audio encoder graph, before anything else sees it.

    Attributes:
        kind: ``utterance`` subtracts the clip's mean and divides by its standard deviation (what wav2vec2's
            own feature extractor does); ``global`` uses two training-set scalars (released VAVL, D12);
            ``none`` leaves samples in [-1, 1] as they are.
        mean: The training-set mean, for ``global``.
        std: The training-set standard deviation, for ``global``.
    """

    kind: Literal["none", "utterance", "global"] = "utterance"
    mean: float = 0.0
    std: Annotated[float, Field(gt=0)] = 1.0


class VavlConfig(StrictModel):
    """Architecture, task and feature widths of one VAVL model.

    Attributes:
        layout: ``paper`` attends over time and masks padding everywhere; ``released`` reproduces the
            arithmetic of the released code, which attends over the batch and so must run at batch 1 (D1).
        task: ``classification`` (softmax over classes) or ``regression`` (attribute scores).
        labels: Class or attribute names in output order; never implicit (D17, D18).
        scale: Lowest and highest label of the annotation scale; regression targets are mapped to [0, 1]
            for training and back inside the graph (D19).
        flipped: Attribute names that the network predicts upside down (D3); undone inside the graph.
        audio_dim: Width of the audio features, F_a.
        visual_dim: Width of the visual features, F_v.
        projection_dim: Width after the temporal projection.
        projection_kernel: Taps of the temporal projection, odd. The paper wants each frame "aware of its
            neighboring elements" but gives no size; the released code uses 1 (D5).
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
        residual: Keep the residual over the shared layers (off in ablation 1).
        reconstruction: Keep the reconstruction heads (off in ablation 2).
        audio_visual_head: Keep the audio-visual head; without it the two unimodal predictions are averaged
            (ablation 3).
        discriminants: Replace each modality's features by their C - 1 linear discriminants (Fisher), fitted to the
            means of the training set's windows, and add their log likelihoods to the logits, so that the network learns
            what they leave open. Not in the paper: for small corpora, where how much speakers differ in a feature
            tells how little it is worth, and a network alone is worse on new speakers than the discriminants alone.
        visual_dynamics: Show the visual branch, beside each feature, how far it gets from its mean over the clip and
            how much it changes between frames. Not in the paper: for encoders that see one frame at a time, whose
            features say more about who is seen than about what the face does.
        visual_pool: How many frames are averaged to one token before the projection; 1 in the paper. Faces change
            more slowly than frames come, and the encoder's work grows with the square of the tokens.
        max_tokens: Longest sequence of features; the position table covers it.
        waveform_normalization: Applied inside the audio encoder graph.
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
    visual_dynamics: bool = False
    visual_pool: Positive = 1
    max_tokens: Annotated[int, Field(ge=64, le=16384)] = 1500
    waveform_normalization: WaveformNormalization = WaveformNormalization()

    @model_validator(mode="after")
    def _consistent(self) -> "VavlConfig":
        problems = []
        if self.width % (2 * self.heads):
            problems.append(f"width {self.width} must be a multiple of 2 x heads ({2 * self.heads})")
        for name in ("projection_kernel", "conv_kernel"):
            if getattr(self, name) % 2 == 0:
                problems.append(f"{name} {getattr(self, name)} must be odd, so that output frames stay aligned")
        if len(self.labels) < (2 if self.task == "classification" else 1) or len(set(self.labels)) < len(self.labels):
            problems.append(f"labels {self.labels} must be distinct, and at least two for classification")
        if not self.scale[0] < self.scale[1]:
            problems.append(f"scale {self.scale} must go from low to high")
        if unknown := set(self.flipped) - set(self.labels):
            problems.append(f"flipped {sorted(unknown)} must be among labels {self.labels}")
        if self.flipped and self.task == "classification":
            problems.append("flipped has no meaning for classification")
        if self.layout == "released" and self.projection_kernel != 1:
            problems.append(f"layout released has projection_kernel 1 (D5), got {self.projection_kernel}")
        if self.layout == "released" and not (self.residual and self.audio_visual_head):
            problems.append("layout released has the residual and the audio-visual head")
        if self.layout == "released" and (self.discriminants or self.visual_dynamics or self.visual_pool > 1):
            problems.append("layout released has no discriminants, visual_dynamics or visual_pool")
        if self.discriminants and self.task == "regression":
            problems.append("discriminants tell classes apart and have no meaning for regression")
        if problems:
            raise ValueError("; ".join(problems))
        return self

    @classmethod
    def create(cls, **values: object) -> "VavlConfig":
        """Build a configuration from keyword arguments or parsed JSON.

        Raises:
            ConfigError: Unknown keys, wrong types or values that contradict each other; all are listed.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise ConfigError(f"configuration: {list_invalid(error, 'configuration')}") from error

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
    """The paper's model: wav2vec2-large (1024-D) and EfficientNet-B2 (1408-D) features, 52 M parameters."""
    return VavlConfig.create(**changes)


def light_config(**changes: object) -> VavlConfig:
    """The model for small devices and small corpora: a narrow network, more dropout, and features brought nearer."""
    light: dict[str, object] = {
        "audio_dim": 284,
        "visual_dim": 275,
        "discriminants": changes.get("task") != "regression",
        "visual_dynamics": True,
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

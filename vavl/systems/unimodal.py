"""The unimodal conformers: one independent network of VAVL's parts per modality (§4.5.4)."""

from collections.abc import Mapping
from typing import ClassVar, Literal, get_args

from torch import Tensor, nn

from vavl.config import VavlConfig, paper_config
from vavl.model import Modality
from vavl.model.masking import length_mask, masked_mean
from vavl.model.vavl import build_conformer, build_head
from vavl.systems.baseline import Baseline, check_choice
from vavl.systems.batch import Batch, Sequences
from vavl.systems.losses import task_loss
from vavl.systems.system import BatchPredictions, Shape
from vavl_runtime.bundle.manifest import PathName

HeadName = Literal["vavl", "two_layers"]


class UnimodalConformer(nn.Module):
    """Projection, conformer blocks, mean over time, head.

    Args:
        config: The architecture of VAVL to match.
        features: Width of the features, F.
        layers: Conformer blocks.
        outputs: Classes or attributes, C.
        head: See `Unimodal`.
    """

    def __init__(self, config: VavlConfig, features: int, layers: int, outputs: int, head: HeadName) -> None:
        super().__init__()
        kernel = config.projection_kernel
        self.projection = nn.Conv1d(features, config.projection_dim, kernel, padding=kernel // 2, bias=False)
        self.input = nn.Linear(config.projection_dim, config.width)
        self.input_dropout = nn.Dropout(config.dropout)
        self.encoder = build_conformer(config, layers)
        self.head: nn.Module
        if head == "vavl":
            self.head = build_head(config, config.width, outputs)
        else:
            hidden = config.head_hidden[0]
            self.head = nn.Sequential(
                nn.Linear(config.width, hidden), nn.ReLU(), nn.Dropout(config.head_dropout), nn.Linear(hidden, outputs)
            )
        for module in self.modules():  # the same initialisation as VAVL
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    @property
    def output(self) -> nn.Linear:
        """The last layer."""
        (*_, layer) = (module for module in self.head.modules() if isinstance(module, nn.Linear))
        return layer

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Map normalised features (B, T, F), 0 in padding, and their lengths (B,) to logits (B, C)."""
        mask = length_mask(lengths, features.shape[1])
        tokens = self.input_dropout(self.input(self.projection(features.transpose(1, 2)).transpose(1, 2)))
        return self.head(masked_mean(self.encoder(tokens, mask), mask))


class Unimodal(Baseline):
    """An audio conformer and a visual conformer, each trained on every clip that has its modality.

    Args:
        shape: Task and widths.
        config: Configuration of the VAVL that it is compared with. Each conformer takes its widths, and has as many
            blocks as VAVL's branch and shared layers together: five in the paper.
        head: ``vavl`` takes VAVL's head, so that only the framework differs; ``two_layers`` has one hidden layer.

    Raises:
        ConfigError: The head is unknown.
    """

    name = "Unimodal (A)/(V)"
    paths: tuple[PathName, ...] = ("audio", "visual")
    choices: ClassVar[Mapping[str, str]] = {
        "head": "vavl: two hidden layers and an output, as VAVL has, so that only the framework differs "
        "(two_layers: one hidden layer and an output)",
        "architecture": "widths, projection and dropout of VAVL; as many blocks as its branch and shared layers "
        "together; no reconstruction",
    }

    def __init__(self, shape: Shape, *, config: VavlConfig | None = None, head: HeadName = "vavl") -> None:
        config = config or paper_config()
        super().__init__(shape, max_tokens=config.max_tokens, head=head)
        check_choice("head", head, get_args(HeadName))
        audio_layers, visual_layers = (
            own + config.shared_layers for own in (config.audio_layers, config.visual_layers)
        )
        self.audio = UnimodalConformer(config, shape.audio_dim, audio_layers, shape.outputs, head)
        self.visual = UnimodalConformer(config, shape.visual_dim, visual_layers, shape.outputs, head)

    def parameter_steps(self) -> Mapping[str, list[nn.Parameter]]:
        """One step per network."""
        return {"audio": list(self.audio.parameters()), "visual": list(self.visual.parameters())}

    def output_layers(self) -> list[nn.Linear]:
        """The last layer of each network."""
        return [self.audio.output, self.visual.output]

    def loss(self, step: str, batch: Batch) -> Tensor | None:
        """The task loss of one network, or None if no clip has its modality."""
        for modality, sequences in batch.present():
            if modality == step:
                return task_loss(self.shape.task, self._logits(modality, sequences), batch.target[sequences.rows])
        return None

    def predict(self, batch: Batch) -> BatchPredictions:
        """Predict the clips that have a modality, for each modality."""
        predictions = BatchPredictions()
        for modality, sequences in batch.present():
            predictions[modality] = (sequences.rows, self.predictions(self._logits(modality, sequences)))
        return predictions

    def _logits(self, modality: Modality, sequences: Sequences) -> Tensor:
        network = self.audio if modality == "audio" else self.visual
        return network(self.normalized(modality, sequences), sequences.lengths)

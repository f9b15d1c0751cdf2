"""MulT without language: cross-modal transformers over audio and video; predicts only from both (§4.5.3)."""

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor, nn

from vavl.model import Modality
from vavl.systems.baseline import Baseline
from vavl.systems.batch import Batch, Sequences
from vavl.systems.crossmodal import Tokens
from vavl.systems.fusion import CrossModalFusion
from vavl.systems.losses import task_loss
from vavl.systems.system import BatchPredictions, Shape
from vavl_runtime.bundle.manifest import PathName


class MulT(Baseline):
    """The multimodal transformer of Tsai et al. (ACL 2019), reduced to two modalities.

    It has no unimodal path: clips that lack a modality are skipped in training and in prediction.

    Args:
        shape: Task and widths.
        width: Width d of a token.
        heads: Attention heads.
        layers: Layers of each encoder.
        max_tokens: Longest sequence.

    Raises:
        ConfigError: The width is odd, below 4, or not a multiple of the heads.
    """

    name = "MulT"
    paths: tuple[PathName, ...] = ("audio_visual",)
    choices: ClassVar[Mapping[str, str]] = {
        "width": "width of a token; 30 in the authors' code (50, with 10 heads, is AuxFormer's)",
        "heads": "attention heads; 5 in the authors' code",
        "training": (
            "the schedule of all systems (§4.3); the authors' code uses a learning rate of 1e-3, 40 epochs and "
            "gradients clipped at 0.8; without them a model this small may be under-trained"
        ),
        "language": "removed; each memory encoder is as wide as its single cross-modal input",
    }

    def __init__(
        self, shape: Shape, *, width: int = 30, heads: int = 5, layers: int = 5, max_tokens: int = 1500
    ) -> None:
        super().__init__(shape, max_tokens=max_tokens, width=width, heads=heads)
        # A temporal convolution of kernel 1 without bias is this matrix.
        self.audio_projection = nn.Linear(shape.audio_dim, width, bias=False)
        self.visual_projection = nn.Linear(shape.visual_dim, width, bias=False)
        self.fusion = CrossModalFusion(
            width,
            heads,
            layers,
            shape.outputs,
            max_tokens,
            memory_positions=True,
            memory_scalar=False,
            head_dropout=0.0,
        )

    def parameter_steps(self) -> Mapping[str, list[nn.Parameter]]:
        """One step that updates all parameters."""
        return {"audio_visual": list(self.parameters())}

    def output_layers(self) -> list[nn.Linear]:
        """The last layer of the head."""
        return [self.fusion.head.output]

    def loss(self, step: str, batch: Batch) -> Tensor | None:
        """The task loss of the clips with both modalities, or None if there are none."""
        paired = batch.paired_rows
        if not len(paired):
            return None
        return task_loss(self.shape.task, self._logits(batch, paired), batch.target[paired])

    def predict(self, batch: Batch) -> BatchPredictions:
        """Predict for the clips with both modalities."""
        paired = batch.paired_rows
        if not len(paired):
            return BatchPredictions()
        return BatchPredictions(audio_visual=(paired, self.predictions(self._logits(batch, paired))))

    def _logits(self, batch: Batch, paired: Tensor) -> Tensor:
        assert batch.audio is not None and batch.visual is not None  # paired rows exist only if both do
        return self.fusion(
            self._tokens("audio", batch.audio.take(paired)), self._tokens("visual", batch.visual.take(paired))
        )

    def _tokens(self, modality: Modality, sequences: Sequences) -> Tokens:
        projection = self.audio_projection if modality == "audio" else self.visual_projection
        return Tokens(projection(self.normalized(modality, sequences)), sequences.lengths)

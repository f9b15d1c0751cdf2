"""The interface that VAVL and every baseline implement, so that the same code trains and tests all of them.

Legend: N clips of a batch, C classes or attributes, D width of an embedding.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from vavl.config import Task
from vavl.model import Branch, Modality
from vavl.model.heads import FeatureNormalizer
from vavl.systems.batch import Batch
from vavl_runtime.bundle.manifest import PathName


@dataclass(frozen=True)
class Shape:
    """The task and the widths that a baseline is built for.

    Attributes:
        task: ``classification`` or ``regression``.
        outputs: Number of classes or attributes, C.
        audio_dim: Width of the audio features, F_a.
        visual_dim: Width of the visual features, F_v.
    """

    task: Task
    outputs: int
    audio_dim: int
    visual_dim: int


class BatchPredictions(dict[PathName, tuple[Tensor, Tensor]]):
    """Predictions for a batch, by path.

    Each value is a pair: the rows of the batch that the path predicts, int64, shape (N,); and the predictions for these
    rows, shape (N, C). Predictions are class probabilities, or attributes in [0, 1].
    """


class System(nn.Module, ABC):
    """A model together with the way it is trained.

    Attributes:
        name: Name in tables.
        task: ``classification`` or ``regression``.
        paths: The paths by which it can predict.
        audio_normalizer: Normalises the audio features; the trainer sets its statistics.
        visual_normalizer: Normalises the visual features; the trainer sets its statistics.
    """

    name: str
    task: Task
    paths: tuple[PathName, ...]
    audio_normalizer: FeatureNormalizer
    visual_normalizer: FeatureNormalizer

    @abstractmethod
    def parameter_steps(self) -> Mapping[str, list[nn.Parameter]]:
        """The steps of one training iteration, in order: by name, the parameters that the step updates."""

    @abstractmethod
    def loss(self, step: str, batch: Batch) -> Tensor | None:
        """The scalar loss of one step, or None if no clip of the batch has the modalities that the step needs."""

    @abstractmethod
    def predict(self, batch: Batch) -> BatchPredictions:
        """Predict by every path that the batch allows. Call it in evaluation mode and without gradients."""

    def output_layers(self) -> list[nn.Linear]:
        """The layers that give predictions, which the trainer starts at the training set's mean in regression.

        None by default; then regression starts at whatever the weights give.
        """
        return []

    def normalizers(self) -> Mapping[Modality, list[FeatureNormalizer]]:
        """The modules to which the trainer gives the training set's feature statistics (D13)."""
        return {"audio": [self.audio_normalizer], "visual": [self.visual_normalizer]}

    def discriminant_branches(self) -> Mapping[Modality, Branch]:
        """The branches whose linear discriminants the trainer fits to the training set; none by default."""
        return {}

    def shared_embeddings(self, batch: Batch) -> tuple[Tensor, Tensor] | None:
        """Audio and visual embeddings (N, D) of the clips that have both modalities.

        Returns:
            The embeddings from the shared layers. None if the system has no shared layers or the batch no such clip.
        """
        return None

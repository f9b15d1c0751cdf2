"""What can be trained and compared: VAVL and every baseline behind one small interface."""

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
    """What a system is built for.

    Attributes:
        task: ``classification`` or ``regression``.
        outputs: Classes or attributes, C.
        audio_dim: Width of the audio features, F_a.
        visual_dim: Width of the visual features, F_v.
    """

    task: Task
    outputs: int
    audio_dim: int
    visual_dim: int


class Answers(dict[PathName, tuple[Tensor, Tensor]]):
    """By path: the batch rows it answers for, int64 (N,), and its predictions for them, (N, C).

    Predictions are what is reported and averaged: class probabilities, or attribute targets in [0, 1].
    """


class System(nn.Module, ABC):
    """A model with its own way to train.

    Attributes:
        name: How tables call it.
        task: ``classification`` or ``regression``.
        paths: The paths it answers by.
    """

    name: str
    task: Task
    paths: tuple[PathName, ...]
    audio_normalizer: FeatureNormalizer
    visual_normalizer: FeatureNormalizer

    @abstractmethod
    def parameter_steps(self) -> Mapping[str, list[nn.Parameter]]:
        """The parameters that each named step of one training iteration moves, in order of the steps."""

    @abstractmethod
    def loss(self, step: str, batch: Batch) -> Tensor | None:
        """The scalar loss of one step, or None if the batch lacks what the step needs."""

    @abstractmethod
    def answer(self, batch: Batch) -> Answers:
        """Predict by every path that the batch allows; call in evaluation mode, without gradients."""

    def normalizers(self) -> Mapping[Modality, list[FeatureNormalizer]]:
        """The modules that z-normalise features; the trainer gives them the training set's statistics (D13)."""
        return {"audio": [self.audio_normalizer], "visual": [self.visual_normalizer]}

    def discriminant_branches(self) -> Mapping[Modality, Branch]:
        """The branches that project features to discriminants; the trainer fits those to the training set."""
        return {}

    def shared_embeddings(self, batch: Batch) -> tuple[Tensor, Tensor] | None:
        """Acoustic and visual embeddings (N, D) of the paired clips out of the shared layers, if it has any."""
        return None

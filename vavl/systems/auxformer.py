"""AuxFormer: cross-modal fusion with an auxiliary network for each modality, and modality dropout (§4.5.2).

Legend: N clips, T tokens, d width, C classes or attributes.
"""

from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor, nn

from vavl.errors import ConfigError
from vavl.model import Modality
from vavl.systems.baseline import Baseline, Group, check_choice, group_by_modalities
from vavl.systems.batch import Batch, Sequences
from vavl.systems.crossmodal import CrossModalEncoder, Tokens
from vavl.systems.fusion import CrossModalFusion
from vavl.systems.losses import task_loss
from vavl.systems.system import BatchPredictions, Shape
from vavl_runtime.bundle.manifest import PathName

UnimodalAnswer = Literal["zeroed", "auxiliary"]
Embedding = Literal["auxiliary", "cross_modal"]
PASSES = 3  # how many times an auxiliary encoder is applied in a row, with the same weights


class AuxFormer(Baseline):
    """The model of Goncalves and Busso (ICASSP 2022).

    A main network predicts from both modalities, and two auxiliary networks predict from one modality each; the
    prediction is the mean of the three outputs. A modality that is missing or dropped in training is replaced by zeros,
    as long as the other modality, so that a unimodal prediction does not depend on it.

    Args:
        shape: Task and widths.
        width: Width d of a token.
        heads: Attention heads.
        layers: Layers of each of the six encoders.
        auxiliary_hidden: Widths of the hidden layers of the shared auxiliary network.
        modality_dropout: Probability that a training batch loses its audio; the same probability applies to its video.
        unimodal_answer: How one modality is predicted: ``zeroed`` averages all three outputs with the other input
            zeroed; ``auxiliary`` takes only the auxiliary network's output.
        embedding: What `shared_embeddings` returns: ``auxiliary`` is the input of the shared auxiliary output layer,
            ``cross_modal`` the last valid step of the two cross-modal encoders.
        max_tokens: Longest sequence.

    Raises:
        ConfigError: The width is not a multiple of the heads, the probability is above 0.5, or a choice is unknown.
    """

    name = "AuxFormer"
    paths: tuple[PathName, ...] = ("audio_visual", "audio", "visual")
    choices: ClassVar[Mapping[str, str]] = {
        "width": (
            "both modalities are projected to this width without bias; the authors' own video features were 50 wide"
        ),
        "unimodal_answer": (
            "zeroed: the missing input is replaced by zeros and the three outputs are averaged, as in "
            "the authors' code (auxiliary: only the auxiliary network)"
        ),
        "embedding": (
            "auxiliary: the input of the shared auxiliary output layer, which depends on one modality only "
            "(cross_modal: the last step of the cross-modal layers, which §5.3 names; there the modalities are "
            "already mixed)"
        ),
        "modality_dropout": "probability that a training batch loses its audio, and the same for its video; never in "
        "evaluation, and never a clip's only modality",
        "training": "the schedule of all systems (§4.3); the authors' code uses a learning rate of 7.25e-4, 30 epochs",
        "attributes": "the authors' code has no loss for attributes; here each output has the concordance loss",
    }

    def __init__(
        self,
        shape: Shape,
        *,
        width: int = 50,
        heads: int = 10,
        layers: int = 5,
        auxiliary_hidden: tuple[int, int] = (512, 256),
        modality_dropout: float = 0.2,
        unimodal_answer: UnimodalAnswer = "zeroed",
        embedding: Embedding = "auxiliary",
        max_tokens: int = 1500,
    ) -> None:
        super().__init__(
            shape,
            max_tokens=max_tokens,
            width=width,
            modality_dropout=modality_dropout,
            unimodal_answer=unimodal_answer,
            embedding=embedding,
        )
        check_choice("unimodal_answer", unimodal_answer, get_args(UnimodalAnswer))
        check_choice("embedding", embedding, get_args(Embedding))
        if not 0.0 <= modality_dropout <= 0.5:
            raise ConfigError(f"modality_dropout: got {modality_dropout}, expected 0 to 0.5, for each modality")
        self.modality_dropout = modality_dropout
        self.unimodal_answer = unimodal_answer
        self.embedding = embedding
        # A temporal convolution of kernel 1 without bias is a matrix product. Without bias, zeros stay zeros.
        self.audio_projection = nn.Linear(shape.audio_dim, width, bias=False)
        self.visual_projection = nn.Linear(shape.visual_dim, width, bias=False)
        self.main = CrossModalFusion(
            width,
            heads,
            layers,
            shape.outputs,
            max_tokens,
            memory_positions=False,
            memory_scalar=True,
            head_dropout=0.2,
        )
        self.audio_auxiliary, self.visual_auxiliary = (
            CrossModalEncoder(width, heads, layers, max_tokens, positions=False, attention_dropout=0.1)
            for _ in range(2)
        )
        first, second = auxiliary_hidden
        self.auxiliary_residual = nn.Sequential(
            nn.Linear(width, first),
            nn.ReLU(),
            nn.Dropout(0.2),
            nn.Linear(first, second),
            nn.ReLU(),
            nn.Dropout(0.2),
            nn.Linear(second, width),
        )
        self.auxiliary_output = nn.Linear(width, shape.outputs)

    def parameter_steps(self) -> Mapping[str, list[nn.Parameter]]:
        """One step that updates all parameters."""
        return {"joint": list(self.parameters())}

    def output_layers(self) -> list[nn.Linear]:
        """Of the main network, and of the auxiliary networks, which share one."""
        return [self.main.head.output, self.auxiliary_output]

    def loss(self, step: str, batch: Batch) -> Tensor | None:
        """A third of the task loss of each of the three outputs, or None for an empty batch."""
        trained = list(self._training_groups(batch))
        if not trained:
            return None
        target = batch.target[torch.cat([group.rows for group in trained])]
        outputs = [self._outputs(group) for group in trained]
        main, audio, visual = (torch.cat(same) for same in zip(*outputs, strict=True))
        return torch.stack([task_loss(self.shape.task, logits, target) for logits in (main, audio, visual)]).mean()

    def predict(self, batch: Batch) -> BatchPredictions:
        """Predict from both modalities where a clip has both, and from each modality where a clip has it."""
        predictions = BatchPredictions()
        for group in group_by_modalities(batch):
            if group.audio is not None and group.visual is not None:
                predictions["audio_visual"] = (group.rows, self._averaged(group))
        for modality, sequences in batch.present():
            predictions[modality] = (sequences.rows, self._alone(modality, sequences))
        return predictions

    def shared_embeddings(self, batch: Batch) -> tuple[Tensor, Tensor] | None:
        """Embeddings (N, d) of the clips with both modalities, chosen by `embedding`; None if there are none."""
        for group in group_by_modalities(batch):
            if group.audio is not None and group.visual is not None:
                audio, visual = self._tokens("audio", group.audio), self._tokens("visual", group.visual)
                if self.embedding == "auxiliary":
                    return self._auxiliary("audio", audio), self._auxiliary("visual", visual)
                crossed_audio, crossed_visual = self.main.crossed(audio, visual)
                return crossed_audio.last(), crossed_visual.last()
        return None

    def _training_groups(self, batch: Batch) -> Iterator[Group]:
        draw = float(torch.rand(())) if self.training else 1.0
        for group in group_by_modalities(batch):
            paired = group.audio is not None and group.visual is not None
            if paired and draw < self.modality_dropout:
                yield Group(group.rows, None, group.visual)
            elif paired and draw < 2 * self.modality_dropout:
                yield Group(group.rows, group.audio, None)
            else:
                yield group

    def _alone(self, modality: Modality, sequences: Sequences) -> Tensor:
        if self.unimodal_answer == "auxiliary":
            embedding = self._auxiliary(modality, self._tokens(modality, sequences))
            return self.predictions(self.auxiliary_output(embedding))
        audio, visual = (sequences, None) if modality == "audio" else (None, sequences)
        return self._averaged(Group(sequences.rows, audio, visual))

    def _averaged(self, group: Group) -> Tensor:
        return self.predictions(torch.stack(self._outputs(group)).mean(dim=0))

    def _outputs(self, group: Group) -> tuple[Tensor, Tensor, Tensor]:
        """Logits (N, C) of the main, the audio and the visual network."""
        if group.audio is not None:
            audio = self._tokens("audio", group.audio)
            visual = _zeros(audio) if group.visual is None else self._tokens("visual", group.visual)
        else:
            assert group.visual is not None  # a group has at least one modality
            visual = self._tokens("visual", group.visual)
            audio = _zeros(visual)
        return (
            self.main(audio, visual),
            self.auxiliary_output(self._auxiliary("audio", audio, zeroed=group.audio is None)),
            self.auxiliary_output(self._auxiliary("visual", visual, zeroed=group.visual is None)),
        )

    def _auxiliary(self, modality: Modality, tokens: Tokens, zeroed: bool = False) -> Tensor:
        encoder = self.audio_auxiliary if modality == "audio" else self.visual_auxiliary
        for _ in range(PASSES):
            tokens = encoder(tokens)
        last = tokens.last()
        if zeroed:
            # At a token of zeros, LayerNorm multiplies gradients by 316; over 15 layers they overflow to NaN. There is
            # nothing to learn from zeros, so they get no gradient.
            last = last.detach()
        return last + self.auxiliary_residual(last)

    def _tokens(self, modality: Modality, sequences: Sequences) -> Tokens:
        projection = self.audio_projection if modality == "audio" else self.visual_projection
        return Tokens(projection(self.normalized(modality, sequences)), sequences.lengths)


def _zeros(other: Tokens) -> Tokens:
    """The substitute for a missing modality: zeros, as long as the other modality."""
    return Tokens(torch.zeros_like(other.values), other.lengths)

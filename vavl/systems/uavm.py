"""UAVM: a transformer per modality, followed by one transformer and one head for both (§4.5.1).

Legend: N clips, T feature tokens, L pooled tokens, F feature width, D width, C classes or attributes.
"""

from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor, nn

from vavl.errors import ConfigError
from vavl.model import Modality
from vavl.model.masking import length_mask
from vavl.systems.baseline import Baseline, check_choice, group_by_modalities
from vavl.systems.batch import Batch, Sequences
from vavl.systems.losses import task_loss
from vavl.systems.mixup import LABEL_SMOOTHING, mix_and_shift
from vavl.systems.system import BatchPredictions, Shape
from vavl_runtime.bundle.manifest import PathName

Pooling = Literal["segments", "cut"]


def segment_means(features: Tensor, lengths: Tensor, segments: int) -> Tensor:
    """Average each clip over equal segments of its valid length.

    A token across the border of two segments counts in each by its share. A clip with fewer tokens than segments is
    stretched over them.

    Args:
        features: Shape (N, T, F); padding may hold any finite value.
        lengths: Valid tokens, int64, shape (N,), each at least 1.
        segments: Number of segments, L.

    Returns:
        Shape (N, L, F).
    """
    border = torch.arange(segments + 1, device=lengths.device) * lengths[:, None] / segments  # (N, L + 1)
    start, end = border[:, :-1, None], border[:, 1:, None]
    token = torch.arange(features.shape[1], device=lengths.device)
    overlap = (torch.minimum(end, token + 1) - torch.maximum(start, token)).clamp(min=0)  # (N, L, T)
    return (overlap / (end - start)).to(features.dtype) @ features


def first_tokens(features: Tensor, lengths: Tensor, count: int) -> Tensor:
    """The first tokens of each clip, with zeros after its end; (N, T, F) becomes (N, count, F)."""
    valid = features * length_mask(lengths, features.shape[1])[:, :, None]
    return nn.functional.pad(valid[:, :count], (0, 0, 0, max(0, count - features.shape[1])))


class Block(nn.Module):
    """Self-attention and a feed-forward module, both pre-norm and residual, without dropout."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width, bias=False)
        self.output = nn.Linear(width, width)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Transform tokens (N, L, D)."""
        parts = self.query_key_value(self.attention_norm(x)).unflatten(-1, (3, self.heads, -1))
        query, key, value = parts.permute(2, 0, 3, 1, 4)  # each (N, H, L, D/H)
        mixed = nn.functional.scaled_dot_product_attention(query, key, value)
        x = x + self.output(mixed.transpose(1, 2).flatten(2))
        return x + self.feed_forward(x)


class Transformer(nn.Module):
    """Norm, projection where the widths differ, learned positions, blocks."""

    def __init__(self, inputs: int, width: int, heads: int, layers: int, tokens: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(inputs, eps=1e-6)
        self.projection = nn.Linear(inputs, width) if inputs != width else nn.Identity()
        self.positions = nn.Parameter(nn.init.trunc_normal_(torch.empty(1, tokens, width), std=0.02))
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(layers)))

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens (N, L, inputs) to (N, L, D)."""
        return self.blocks(self.projection(self.norm(x)) + self.positions)


class UAVM(Baseline):
    """The unified audio-visual model of Gong et al. (IEEE SPL 2022).

    The network takes one modality at a time; the audio-visual prediction is the mean of both outputs. Each training
    batch uses one modality, drawn with probability 0.5 from PyTorch's global generator; a clip that lacks it is trained
    with the modality it has.

    Args:
        shape: Task and widths.
        tokens: Number of tokens per clip, L, regardless of its length.
        pooling: ``segments`` takes the means of L equal parts of the clip, ``cut`` its first L feature tokens.
        augmentation: Apply mixup, circular shifts in time and label smoothing, as in the authors' recipe.
        width: Width D.
        heads: Attention heads.
        layers: Blocks of each modality's transformer.
        shared_layers: Blocks of the shared transformer.

    Raises:
        ConfigError: The width is not a multiple of the heads, or a choice is unknown.
    """

    name = "UAVM"
    paths: tuple[PathName, ...] = ("audio_visual", "audio", "visual")
    choices: ClassVar[Mapping[str, str]] = {
        "tokens": "number of tokens per clip, in either modality; the authors have 30 for 10 s",
        "pooling": (
            "segments: the means of equal parts of the clip's valid length, so that all of the clip counts "
            "(cut: the first tokens, which is 0.6 s of sound)"
        ),
        "augmentation": (
            "whether clips are mixed and shifted and labels smoothed, as in the authors' recipe; only UAVM can do this"
        ),
        "training": (
            "the schedule of all systems (§4.3), without class-balanced sampling; the authors' code halves its "
            "learning rate of 5e-5 every epoch, over 10 epochs"
        ),
        "missing": "a clip that lacks the modality drawn for its batch is trained with the modality it has",
    }

    def __init__(
        self,
        shape: Shape,
        *,
        tokens: int = 30,
        pooling: Pooling = "segments",
        augmentation: bool = False,
        width: int = 1024,
        heads: int = 4,
        layers: int = 3,
        shared_layers: int = 3,
    ) -> None:
        super().__init__(shape, tokens=tokens, pooling=pooling, augmentation=augmentation)
        check_choice("pooling", pooling, get_args(Pooling))
        if width % heads:
            raise ConfigError(f"width {width} must be a multiple of heads ({heads})")
        self.tokens = tokens
        self.pooling = pooling
        self.augmentation = augmentation
        self.audio = Transformer(shape.audio_dim, width, heads, layers, tokens)
        self.visual = Transformer(shape.visual_dim, width, heads, layers, tokens)
        self.shared = Transformer(width, width, heads, shared_layers, tokens)
        self.head = nn.Sequential(nn.LayerNorm(width, eps=1e-6), nn.Linear(width, shape.outputs))

    def parameter_steps(self) -> Mapping[str, list[nn.Parameter]]:
        """One step over all parameters; the transformer of the modality that was not drawn gets no gradient."""
        return {"drawn": list(self.parameters())}

    def output_layers(self) -> list[nn.Linear]:
        """The last layer of the head, which all modalities share."""
        return [layer for layer in self.head if isinstance(layer, nn.Linear)]

    def loss(self, step: str, batch: Batch) -> Tensor | None:
        """The task loss of every clip with one of its modalities, or None for an empty batch."""
        augments = self.augmentation and self.training
        classifies = self.shape.task == "classification"
        logits, targets = [], []
        for modality, sequences in self._drawn(batch):
            tokens, target = self._pooled(modality, sequences), batch.target[sequences.rows]
            if augments:
                # A mixed target has no single class with most votes, so the class is chosen before mixing.
                hard = nn.functional.one_hot(target.argmax(dim=-1), self.shape.outputs).to(target)
                tokens, target = mix_and_shift(tokens, hard if classifies else target)
            logits.append(self.head(self._embedding(modality, tokens)))
            targets.append(target)
        if not logits:
            return None
        if augments and classifies:
            return nn.functional.cross_entropy(
                torch.cat(logits).float(), torch.cat(targets), label_smoothing=LABEL_SMOOTHING
            )
        return task_loss(self.shape.task, torch.cat(logits), torch.cat(targets))

    def predict(self, batch: Batch) -> BatchPredictions:
        """Predict from each modality where a clip has it, and from the mean of both outputs where it has both."""
        predictions = BatchPredictions()
        logits: dict[Modality, Tensor] = {}
        for modality, sequences in batch.present():
            logits[modality] = self.head(self._embedding(modality, self._pooled(modality, sequences)))
            predictions[modality] = (sequences.rows, self.predictions(logits[modality]))
        paired = batch.paired_rows
        if batch.audio is not None and batch.visual is not None and len(paired):
            audio = logits["audio"][torch.searchsorted(batch.audio.rows, paired)]
            visual = logits["visual"][torch.searchsorted(batch.visual.rows, paired)]
            predictions["audio_visual"] = (paired, self.predictions(0.5 * (audio + visual)))
        return predictions

    def shared_embeddings(self, batch: Batch) -> tuple[Tensor, Tensor] | None:
        """Means over time of the shared transformer's output, (N, D), for clips with both modalities; or None."""
        paired = batch.paired_rows
        if batch.audio is None or batch.visual is None or not len(paired):
            return None
        return (
            self._embedding("audio", self._pooled("audio", batch.audio.take(paired))),
            self._embedding("visual", self._pooled("visual", batch.visual.take(paired))),
        )

    def _drawn(self, batch: Batch) -> Iterator[tuple[Modality, Sequences]]:
        draws_audio = bool(torch.rand(()) < 0.5)
        for group in group_by_modalities(batch):
            if group.audio is not None and (draws_audio or group.visual is None):
                yield "audio", group.audio
            elif group.visual is not None:
                yield "visual", group.visual

    def _pooled(self, modality: Modality, sequences: Sequences) -> Tensor:
        """Tokens of unit length, (N, L, F)."""
        pool = segment_means if self.pooling == "segments" else first_tokens
        pooled = pool(self.normalized(modality, sequences), sequences.lengths, self.tokens)
        return nn.functional.normalize(pooled, dim=-1)

    def _embedding(self, modality: Modality, tokens: Tensor) -> Tensor:
        transformer = self.audio if modality == "audio" else self.visual
        return self.shared(transformer(tokens)).mean(dim=1)

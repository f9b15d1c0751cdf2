"""Small baselines and random batches for tests."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from vavl.config import VavlConfig
from vavl.model import Modality
from vavl.systems import BASELINES, Baseline
from vavl.systems.batch import Batch, Sequences
from vavl.systems.crossmodal import Attention
from vavl.systems.system import Shape, Task

AUDIO_DIM, VISUAL_DIM = 16, 9
OUTPUTS: Mapping[Task, int] = {"classification": 6, "regression": 3}
CONFORMER = VavlConfig.create(
    projection_dim=12,
    width=32,
    heads=4,
    audio_layers=1,
    visual_layers=1,
    shared_layers=1,
    feed_forward_mult=2,
    conv_kernel=7,
    head_hidden=(16, 8),
    max_tokens=64,
)
SMALL: Mapping[str, Mapping[str, object]] = {
    "uavm": {"width": 16, "heads": 2, "tokens": 6, "layers": 1, "shared_layers": 1},
    "auxformer": {"width": 12, "heads": 2, "layers": 2, "auxiliary_hidden": (16, 8), "max_tokens": 64},
    "mult": {"width": 12, "heads": 2, "layers": 2, "max_tokens": 64},
    "unimodal": {"config": CONFORMER},
}
Clip = tuple[Tensor | None, Tensor | None]  # (T_a, F_a) and (T_v, F_v)


def shape(task: Task = "classification") -> Shape:
    """What the small baselines are built for."""
    return Shape(task, OUTPUTS[task], AUDIO_DIM, VISUAL_DIM)


def build(name: str, task: Task = "classification", **changes: object) -> Baseline:
    """A small baseline as it is initialised."""
    torch.manual_seed(1)
    return BASELINES[name](shape(task), **{**SMALL[name], **changes})


def scrambled(name: str, task: Task = "classification", **changes: object) -> Baseline:
    """A small baseline in evaluation mode, all of it random, so that nothing cancels by being 0 or 1."""
    system = build(name, task, **changes).eval()
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for key, value in system.state_dict().items():
            if value.is_floating_point():
                noise = torch.randn(value.shape, generator=generator)
                positive = key.endswith(("running_var", "std")) or ("norm" in key and key.endswith("weight"))
                scaled = noise * (value.shape[-1] ** -0.5 if value.ndim > 1 else 0.3)
                value.copy_(1.0 + 0.5 * noise.tanh() if positive else scaled)
    return system


def without_dropout(system: Baseline) -> Baseline:
    """The same system with no dropout but that of whole modalities."""
    for module in system.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        elif isinstance(module, Attention):
            module.dropout = 0.0
    return system


def random_clips(lengths: Sequence[tuple[int, int]], seed: int = 0) -> list[Clip]:
    """Random features of the given lengths (T_a, T_v); 0 is a missing modality."""
    generator = torch.Generator().manual_seed(seed)

    def features(length: int, width: int) -> Tensor | None:
        return torch.randn(length, width, generator=generator) if length else None

    return [(features(audio, AUDIO_DIM), features(visual, VISUAL_DIM)) for audio, visual in lengths]


def collate(clips: Sequence[Clip], target: Tensor, padding: int = 0, filler: float = 0.0) -> Batch:
    """Pad clips to a batch, by ``padding`` more than needed, with ``filler``."""

    def sequences(which: int) -> Sequences | None:
        found = [(row, clip[which]) for row, clip in enumerate(clips)]
        present = [(row, features) for row, features in found if features is not None]
        if not present:
            return None
        padded = torch.nn.utils.rnn.pad_sequence([x for _, x in present], batch_first=True, padding_value=filler)
        return Sequences(
            torch.nn.functional.pad(padded, (0, 0, 0, padding), value=filler),
            torch.tensor([len(x) for _, x in present]),
            torch.tensor([row for row, _ in present]),
        )

    return Batch(sequences(0), sequences(1), target)


def random_target(clips: int, task: Task = "classification", seed: int = 0) -> Tensor:
    """One-hot classes that go round, so that all occur, or random attribute targets; (clips, C)."""
    if task == "classification":
        return torch.eye(OUTPUTS[task])[torch.arange(clips) % OUTPUTS[task]]
    return torch.rand(clips, OUTPUTS[task], generator=torch.Generator().manual_seed(seed))


def random_batch(lengths: Sequence[tuple[int, int]], task: Task = "classification", seed: int = 0) -> Batch:
    """Random clips with random targets."""
    return collate(random_clips(lengths, seed), random_target(len(lengths), task, seed))


def predicted(system: Baseline, batch: Batch) -> dict[str, dict[int, Tensor]]:
    """By path and row: the prediction (C,)."""
    with torch.no_grad():
        answers = system.predict(batch)
    return {path: dict(zip(rows.tolist(), values, strict=True)) for path, (rows, values) in answers.items()}


def rows_of(lengths: Sequence[tuple[int, int]]) -> dict[str, list[int]]:
    """By path: the rows that can be answered by it."""
    return {
        "audio_visual": [row for row, (audio, visual) in enumerate(lengths) if audio and visual],
        "audio": [row for row, (audio, _) in enumerate(lengths) if audio],
        "visual": [row for row, (_, visual) in enumerate(lengths) if visual],
    }


def without(batch: Batch, modality: Modality) -> Batch:
    """The same clips without one modality; every clip must have the other."""
    return Batch(
        None if modality == "audio" else batch.audio, None if modality == "visual" else batch.visual, batch.target
    )

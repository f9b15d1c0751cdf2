"""Labelled windows of a corpus, read from the feature cache and served as shuffled or ordered batches."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vavl.corpora.corpus import Clip, Corpus
from vavl.errors import ConfigError
from vavl.features.cache import FeatureCache, WindowFeatures
from vavl.model import Modality
from vavl.systems.batch import Batch, Sequences

BUCKET_BATCHES = 16  # batches whose windows are sorted by length together: little padding, yet well shuffled


@dataclass(frozen=True)
class Example:
    """One window with the label of its clip.

    Attributes:
        clip: Id of the clip.
        features: Its features; at least one modality.
        target: Class shares, or attribute targets in [0, 1], float32, (C,).
        speaker: Name of the speaker.
    """

    clip: str
    features: WindowFeatures
    target: NDArray[np.float32]
    speaker: str

    @property
    def is_paired(self) -> bool:
        """Whether it has both modalities."""
        return self.features.audio is not None and self.features.visual is not None

    @property
    def length(self) -> int:
        """Number of tokens of both modalities together."""
        return sum(len(x) for x in (self.features.audio, self.features.visual) if x is not None)


class FeatureSet:
    """The windows of some clips.

    Args:
        cache: Their features; must stay open while the set is used.
        corpus: Gives the meaning of the targets.
        clips: The clips, in order.
        without: Modalities to leave out, for experiments.

    Raises:
        ConfigError: A clip is not in the cache, or no clip has any features.
    """

    def __init__(
        self, cache: FeatureCache, corpus: Corpus, clips: Sequence[Clip], without: frozenset[Modality] = frozenset()
    ) -> None:
        if absent := [clip.id for clip in clips if clip.id not in cache]:
            raise ConfigError(
                f"{cache.folder}: {len(absent)} of {len(clips)} clips have no features yet "
                f"({', '.join(absent[:4])}{', …' if len(absent) > 4 else ''}); run vavl-train features again"
            )
        self.examples: list[Example] = []
        for clip in clips:
            target = scale_target(corpus, clip.target)
            for window in cache.windows(clip.id):
                kept = WindowFeatures(
                    None if "audio" in without else window.audio,
                    None if "visual" in without else window.visual,
                    window.audio_seconds,
                    window.visual_seconds,
                )
                if kept.audio is not None or kept.visual is not None:
                    self.examples.append(Example(clip.id, kept, target, clip.speaker))
        if not self.examples:
            raise ConfigError(f"{cache.folder}: none of {len(clips)} clips has sound or a face")

    def __len__(self) -> int:
        return len(self.examples)

    def statistics(self, modality: Modality) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
        """Mean and standard deviation of every feature over all tokens (D13).

        Args:
            modality: ``audio`` or ``visual``.

        Returns:
            Two float32 arrays of shape (F,), computed with float64 sums; None if no window has the modality.
        """
        count, total, squares = 0, np.zeros(()), np.zeros(())
        for example in self.examples:
            values = getattr(example.features, modality)
            if values is not None:
                values = values.astype(np.float64)
                count, total, squares = count + len(values), total + values.sum(0), squares + np.square(values).sum(0)
        if not count:
            return None
        mean = total / count
        deviation = np.sqrt(np.maximum(squares / count - mean**2, 0.0))
        return mean.astype(np.float32), deviation.astype(np.float32)

    def epoch_length(self, repeat_paired: int = 1) -> int:
        """Number of windows that an epoch shows, for `shuffled`."""
        return len(self.examples) + (repeat_paired - 1) * sum(example.is_paired for example in self.examples)

    def shuffled(
        self, batch_size: int, seed: int, share: tuple[int, int] = (0, 1), repeat_paired: int = 1
    ) -> Iterator[Batch]:
        """One epoch in random order, with windows of similar length in a batch.

        Args:
            batch_size: Windows per batch.
            seed: Seed of the order; use another seed for each epoch.
            share: Rank of this process and number of processes. Each process gets every n-th batch, and all get equally
                many.
            repeat_paired: How many times windows with both modalities are shown.

        Yields:
            Batches; the last one may be smaller.
        """
        random = np.random.default_rng(seed)
        times = [repeat_paired if example.is_paired else 1 for example in self.examples]
        order = random.permutation(np.repeat(np.arange(len(self.examples)), times))
        batches = []
        for start in range(0, len(order), BUCKET_BATCHES * batch_size):
            bucket = sorted(order[start : start + BUCKET_BATCHES * batch_size], key=lambda i: self.examples[i].length)
            batches += [bucket[at : at + batch_size] for at in range(0, len(bucket), batch_size)]
        rank, processes = share
        batches = [batches[i] for i in random.permutation(len(batches))]
        # Every process takes part in every update, so all need equally many batches; some batches are used twice.
        evenly = processes * math.ceil(len(batches) / processes)
        for chosen in islice(cycle(batches), rank, evenly, processes):
            yield collate([self.examples[i] for i in chosen])

    def ordered(self, batch_size: int) -> Iterator[tuple[list[Example], Batch]]:
        """Every window once, sorted by length to keep padding small; yields the examples with each batch."""
        examples = sorted(self.examples, key=lambda example: example.length)
        for start in range(0, len(examples), batch_size):
            chosen = examples[start : start + batch_size]
            yield chosen, collate(chosen)


def scale_target(corpus: Corpus, target: tuple[float, ...]) -> NDArray[np.float32]:
    """Return class shares unchanged, and attribute scores mapped to [0, 1] (D19); float32, shape (C,)."""
    values = np.asarray(target, np.float32)
    if corpus.task == "classification":
        return values
    low, high = corpus.scale
    return (values - low) / (high - low)


def collate(examples: Sequence[Example]) -> Batch:
    """Pad windows to the longest one and combine them to a batch."""
    target = torch.from_numpy(np.stack([example.target for example in examples]))
    return Batch(
        _pad([example.features.audio for example in examples]),
        _pad([example.features.visual for example in examples]),
        target,
    )


def _pad(arrays: Sequence[NDArray[np.float32] | None]) -> Sequences | None:
    present = [(row, values) for row, values in enumerate(arrays) if values is not None]
    if not present:
        return None
    lengths = torch.tensor([len(values) for _, values in present])
    features: Tensor = torch.zeros(len(present), int(lengths.max()), present[0][1].shape[1])
    for at, (_, values) in enumerate(present):
        features.numpy()[at, : len(values)] = values
    return Sequences(features, lengths, torch.tensor([row for row, _ in present]))

"""Small made-up corpora, features and systems, that train within a second or so."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vavl.config import Task, VavlConfig
from vavl.corpora import Clip, Corpus
from vavl.features import CacheIdentity, ClipFeatures, FeatureCache, WindowFeatures
from vavl.model import Modality, Vavl
from vavl.systems.system import System
from vavl.systems.vavl import VavlSystem
from vavl.training.dataset import FeatureSet
from vavl.training.fit import Progress, fit
from vavl.training.run_folder import RunFolder, read_history
from vavl.training.settings import FitSettings

AUDIO_DIM, VISUAL_DIM = 6, 5
LABELS: Mapping[Task, tuple[str, ...]] = {
    "classification": ("calm", "glad", "tense"),
    "regression": ("arousal", "valence"),
}
KINDS = ("both", "audio", "visual", "two windows", "nothing")
IDENTITY = CacheIdentity(
    dims={"audio": AUDIO_DIM, "visual": VISUAL_DIM}, encoders={"audio": "a", "visual": "b"}, recipe={}
)


@dataclass(frozen=True)
class Material:
    """A made-up corpus with its features."""

    corpus: Corpus
    cache: FeatureCache

    def features(self, numbers: Iterable[int] | None = None, without: frozenset[Modality] = frozenset()) -> FeatureSet:
        """The windows of some clips, by number; of all by default."""
        chosen = range(len(self.corpus.clips)) if numbers is None else numbers
        return FeatureSet(self.cache, self.corpus, [self.corpus.clips[number] for number in chosen], without)


class MemoryCache:
    """Stands where a feature cache would, without files.

    Args:
        clips: Features by clip id.
    """

    folder = Path("memory")

    def __init__(self, clips: Mapping[str, ClipFeatures]) -> None:
        self._clips = clips

    def __contains__(self, clip: str) -> bool:
        return clip in self._clips

    def windows(self, clip: str) -> list[WindowFeatures]:
        """The features of a clip."""
        return list(self._clips[clip].windows)


def target_of(number: int, task: Task) -> tuple[float, ...]:
    """Classes in turn; attributes on a scale from 1 to 5."""
    if task == "classification":
        return tuple(float(number % 3 == other) for other in range(3))
    values = np.random.default_rng(1000 + number).uniform(1.0, 5.0, 2)
    return tuple(float(value) for value in values)


def features_of(number: int, kind: str, task: Task = "classification") -> ClipFeatures:
    """Noise around a value that the target decides, of random length; the first value marks the clip."""
    generator = np.random.default_rng(number)
    direction = np.resize(np.array(target_of(number, task)), 8)

    def rows(width: int) -> NDArray[np.float32]:
        values = generator.standard_normal((generator.integers(2, 12), width)) + 2.0 * direction[:width]
        values[0, 0] = number
        return values.astype(np.float32)

    windows = {
        "both": [WindowFeatures(rows(AUDIO_DIM), rows(VISUAL_DIM), 3.0, 2.5)],
        "audio": [WindowFeatures(rows(AUDIO_DIM), None, 3.0)],
        "visual": [WindowFeatures(None, rows(VISUAL_DIM), 0.0, 2.0)],
        "two windows": [
            WindowFeatures(rows(AUDIO_DIM), rows(VISUAL_DIM), 12.0, 12.0),
            WindowFeatures(rows(AUDIO_DIM), None, 4.0),
        ],
        "nothing": [],
    }
    return ClipFeatures(tuple(windows[kind]))


def make_corpus(count: int, task: Task = "classification") -> Corpus:
    """Clips of three speakers in turn; the corpus announces both modalities everywhere."""
    place = Path("nowhere")
    clips = [Clip(str(n), "abc"[n % 3], target_of(n, task), place, place, f"labels.csv:{n + 2}") for n in range(count)]
    return Corpus("made", task, LABELS[task], tuple(clips))


def make_material(folder: Path, kinds: Sequence[str], task: Task = "classification") -> Material:
    """A corpus of clips of the given kinds, with a feature cache in a folder."""
    corpus = make_corpus(len(kinds), task)
    with FeatureCache(folder, IDENTITY, writable=True) as cache:
        for number, kind in enumerate(kinds):
            cache.add(str(number), "print", features_of(number, kind, task))
    return Material(corpus, FeatureCache(folder))


def in_memory(kinds: Sequence[str], task: Task = "classification") -> Material:
    """The same without files."""
    clips = {str(number): features_of(number, kind, task) for number, kind in enumerate(kinds)}
    return Material(make_corpus(len(kinds), task), MemoryCache(clips))  # type: ignore[arg-type]


def small_config(task: Task = "classification", **changes: object) -> VavlConfig:
    """One layer everywhere, no dropout."""
    made: dict[str, object] = {
        "task": task,
        "labels": LABELS[task],
        "audio_dim": AUDIO_DIM,
        "visual_dim": VISUAL_DIM,
        "projection_dim": 8,
        "width": 16,
        "heads": 2,
        "audio_layers": 1,
        "visual_layers": 1,
        "shared_layers": 1,
        "feed_forward_mult": 2,
        "conv_kernel": 3,
        "head_hidden": (16, 12),
        "dropout": 0.0,
        "head_dropout": 0.0,
        "max_tokens": 64,
    }
    return VavlConfig.create(**{**made, **changes})


def build(task: Task = "classification", alpha: float | None = None, **changes: object) -> VavlSystem:
    """A small VAVL with weights of the current random state."""
    return VavlSystem(Vavl(small_config(task, **changes)), alpha)


def small_settings(**changes: Any) -> FitSettings:
    """Few epochs of small batches, without selection."""
    made = {"epochs": 3, "batch_size": 4, "learning_rate": 3e-3, "selection": "last"}
    return FitSettings(**{**made, **changes})


def train(
    folder: Path,
    data: FeatureSet,
    development: FeatureSet | None = None,
    *,
    system: Callable[[], System] = build,
    progress: Progress | None = None,
    **changes: Any,
) -> System:
    """Train in a run folder on the CPU; ``changes`` go to `small_settings`."""
    settings = small_settings(**changes)
    run = RunFolder(folder, settings.model_dump(mode="json"))
    return fit(system, data, development, settings, run, accelerator="cpu", progress=progress)


def weights(system: torch.nn.Module) -> dict[str, bytes]:
    """Every parameter and buffer, to the last bit."""
    return {name: value.detach().cpu().numpy().tobytes() for name, value in system.state_dict().items()}


NOISY: dict[str, Any] = {"epochs": 4, "feature_noise": 0.2, "schedule": "cosine", "selection": "mean"}
MIXED = ("both", "audio", "two windows", "visual", "both", "both", "audio", "both", "visual")


def mixed(task: Task = "classification") -> Material:
    """Clips of every kind."""
    return in_memory(MIXED, task)


def run_noisily(
    folder: Path, progress: Progress | None = None, **changes: Any
) -> tuple[dict[str, bytes], list[dict[str, Any]]]:
    """Train a small VAVL with everything random switched on; its weights and its history."""
    data, development = mixed().features(range(6)), mixed().features(range(3, 9))
    changes = {**NOISY, **changes}

    def noisy() -> System:
        return build(dropout=0.2, head_dropout=0.2)

    system = train(folder, data, development, system=noisy, progress=progress, **changes)
    return weights(system), read_history(folder)


def events(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard shows of a run, by curve."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util import tensor_util

    found = EventAccumulator(str(folder / "tensorboard"))
    found.Reload()
    return {
        tag: [(event.step, float(tensor_util.make_ndarray(event.tensor_proto))) for event in found.Tensors(tag)]
        for tag in found.Tags()["tensors"]
    }

"""One epoch of `vavl-train fit` on cached features, on the CPU, against a straight loop over files, in one process.

    python -m benchmarks.fit_cpu [--clips 512] [--repeats 5] [-o benchmarks/results/fit_cpu.json]

All variants train VAVL by the three steps of Algorithm 1 with the same optimiser on the same random features:

    fit                    `vavl.training.fit` on the feature cache
    fit, from memory       the same with every batch made beforehand, so that only arithmetic is left
    file batches           a straight loop that reads a file a clip, in order, and pads batches as they come
    clip by clip           a straight loop that reads a file a clip and makes an update of it

Rounds alternate and medians count. `fit` is timed from its request for the first batch to the end of the last update:
neither making the model nor saving it, which the loops do not do, is in it. All files are in the page cache.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.environment import environment
from vavl.config import VavlConfig
from vavl.corpora import Clip, Corpus
from vavl.features import CacheIdentity, ClipFeatures, FeatureCache, WindowFeatures
from vavl.model import Vavl
from vavl.systems.batch import Batch
from vavl.systems.vavl import VavlSystem
from vavl.training.dataset import Example, FeatureSet, collate
from vavl.training.experiment import PRESETS
from vavl.training.fit import FitSettings, fit
from vavl.training.run_folder import RunFolder
from vavl_runtime.devices.cpu import usable_cores
from vavl_runtime.files import write_atomically

AUDIO_TOKENS, VISUAL_TOKENS = (25, 60), (60, 140)  # shortest and longest clip: 2 to 5 s
SETTINGS = FitSettings(epochs=1, selection="last")  # otherwise the paper's: batches of 32, Adam at 5e-5


class MeasuredSet(FeatureSet):
    """Features that note how long an epoch took, and how much of that their batches.

    Attributes:
        in_memory: Batches made in the first epoch, to be used again in every other; None to make them anew.
        seconds: From the first request for a batch to the end of the epoch.
        loading_seconds: The part of it in which batches were made.
    """

    in_memory: list[Batch] | None = None
    seconds = 0.0
    loading_seconds = 0.0

    def shuffled(self, *args: Any, **options: Any) -> Iterator[Batch]:
        """As `FeatureSet.shuffled`."""
        start = time.perf_counter()
        self.loading_seconds = 0.0
        made = super().shuffled(*args, **options)
        if self.in_memory is not None:
            self.in_memory = self.in_memory or list(made)
            made = iter(self.in_memory)
        while (batch := self._next(made)) is not None:
            yield batch
        self.seconds = time.perf_counter() - start

    def _next(self, made: Iterator[Batch]) -> Batch | None:
        start = time.perf_counter()
        batch = next(made, None)
        self.loading_seconds += time.perf_counter() - start
        return batch


class Material:
    """The same random features in a cache and in a file a clip.

    Args:
        folder: Where to write them.
        config: The model that takes them.
        clips: How many.
    """

    def __init__(self, folder: Path, config: VavlConfig, clips: int) -> None:
        random = np.random.default_rng(0)
        dims = {"audio": config.audio_dim, "visual": config.visual_dim}
        cache = folder / "cache"
        made: list[Clip] = []
        with FeatureCache(cache, CacheIdentity(dims, {"audio": "", "visual": ""}, {}), writable=True) as writable:
            for number in range(clips):
                audio, visual = (
                    random.standard_normal((random.integers(low, high + 1), dim), np.float32)
                    for (low, high), dim in ((AUDIO_TOKENS, dims["audio"]), (VISUAL_TOKENS, dims["visual"]))
                )
                file = folder / f"{number}.npz"
                np.savez(file, audio=audio, visual=visual)
                writable.add(file.stem, "", ClipFeatures((WindowFeatures(audio, visual),)))
                target = tuple(float(number % len(config.labels) == label) for label in range(len(config.labels)))
                made.append(Clip(file.stem, "", target, file, file, file.name))
        self.corpus = Corpus("random", config.task, config.labels, tuple(made))
        self.cache = FeatureCache(cache)

    def features(self) -> MeasuredSet:
        """Read them from the cache."""
        return MeasuredSet(self.cache, self.corpus, self.corpus.clips)

    def read(self, clip: Clip) -> Example:
        """Read a clip from its file."""
        assert clip.audio is not None
        with np.load(clip.audio) as arrays:
            features = WindowFeatures(arrays["audio"], arrays["visual"])
        return Example(clip.id, features, np.asarray(clip.target, np.float32), clip.speaker)


def straight_loop(build: Callable[[], VavlSystem], material: Material, batch_size: int) -> float:
    """Train one epoch as one would write it down first; seconds."""
    system = build().train()
    steps = system.parameter_steps()
    parameters = {id(p): p for group in steps.values() for p in group}.values()
    optimizer = torch.optim.AdamW(parameters, SETTINGS.learning_rate, weight_decay=0.0, fused=True)
    clips = material.corpus.clips
    start = time.perf_counter()
    for at in range(0, len(clips), batch_size):
        batch = collate([material.read(clip) for clip in clips[at : at + batch_size]])
        for step in steps:
            optimizer.zero_grad(set_to_none=True)
            loss = system.loss(step, batch)
            assert loss is not None
            loss.backward()
            optimizer.step()
    return time.perf_counter() - start


def run_fit(build: Callable[[], VavlSystem], features: MeasuredSet) -> float:
    """Train one epoch by `fit`; seconds."""
    with tempfile.TemporaryDirectory() as folder:
        fit(build, features, None, SETTINGS, RunFolder(Path(folder), {}), accelerator="cpu")
    return features.seconds


def measure(config: VavlConfig, clips: int, repeats: int, folder: Path) -> dict[str, Any]:
    """Clips a second by variant and round, and the share of an epoch of `fit` that goes into batches."""
    material = Material(folder, config, clips)
    cached, prepared = material.features(), material.features()
    prepared.in_memory = []

    def build() -> VavlSystem:
        torch.manual_seed(SETTINGS.seed)
        return VavlSystem(Vavl(config))

    variants: dict[str, Callable[[], float]] = {
        "fit": lambda: run_fit(build, cached),
        "fit, from memory": lambda: run_fit(build, prepared),
        "file batches": lambda: straight_loop(build, material, SETTINGS.batch_size),
        "clip by clip": lambda: straight_loop(build, material, 1),
    }
    rounds: dict[str, list[float]] = {name: [] for name in variants}
    shares = []
    for number in range(repeats + 1):  # the first round warms up
        for name, run in variants.items():
            seconds = run()
            print(f"{name}: {clips / seconds:.1f} clips/s", file=sys.stderr)
            if number:
                rounds[name].append(clips / seconds)
        if number:
            shares.append(cached.loading_seconds / cached.seconds)
    return {
        "parameters": sum(p.numel() for p in build().parameters()),
        "clips_per_second": {name: statistics.median(values) for name, values in rounds.items()},
        "gain": {name: _gain(rounds["fit"], values) for name, values in rounds.items() if name != "fit"},
        "loading_share": statistics.median(shares),
        "rounds": rounds,
        "loading_shares": shares,
    }


def _gain(ours: Sequence[float], theirs: Sequence[float]) -> dict[str, float]:
    """Ratio of the medians, with the least and the largest ratio of a round."""
    ratios = [mine / other for mine, other in zip(ours, theirs, strict=True)]
    return {
        "of_medians": statistics.median(ours) / statistics.median(theirs),
        "least": min(ratios),
        "largest": max(ratios),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=512)
    parser.add_argument("--preset", choices=sorted(PRESETS), default="light")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=usable_cores())
    parser.add_argument("--output", "-o", type=Path, default=Path("benchmarks/results/fit_cpu.json"))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as folder:
        measured = measure(PRESETS[arguments.preset](), arguments.clips, arguments.repeats, Path(folder))
    record = {
        "benchmark": "fit_cpu",
        "command": f"python -m benchmarks.fit_cpu --preset {arguments.preset} --clips {arguments.clips} "
        f"--repeats {arguments.repeats} --threads {arguments.threads}",
        "environment": environment(arguments.threads, ("torch", "numpy")),
        "clips": arguments.clips,
        "batch_size": SETTINGS.batch_size,
        "tokens": {"audio": AUDIO_TOKENS, "visual": VISUAL_TOKENS},
        **measured,
    }
    write_atomically(arguments.output, (json.dumps(record, indent=1) + "\n").encode())
    print(arguments.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())

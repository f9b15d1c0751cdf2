"""One epoch of `vavl-train fit` on cached features, on the CPU, against a plain loop over files, in one process.

    python -m benchmarks.fit_cpu [--clips 512] [--repeats 5] [-o benchmarks/results/fit_cpu.json]

All variants train VAVL by the three steps of Algorithm 1 with the same optimiser on the same random features:

    fit                    `vavl.training.fit` on the feature cache
    file batches           a loop that reads one file per clip, in order, and pads batches as they come
    clip by clip           a loop that reads one file per clip and makes one update of it

The variants take turns and medians count. All files are in the page cache.
"""

import statistics
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch

from benchmarks.record import Record, benchmark_parser, new_record, write_record
from vavl.config import VavlConfig
from vavl.corpora import Clip, Corpus
from vavl.features import CacheIdentity, ClipFeatures, FeatureCache, WindowFeatures
from vavl.model import Vavl
from vavl.systems.vavl import VavlSystem
from vavl.training.dataset import Example, FeatureSet, collate
from vavl.training.experiment import PRESETS
from vavl.training.fit import FitSettings, fit
from vavl.training.run_folder import RunFolder
from vavl_bench.turns import advantage, take_turns
from vavl_runtime.devices.cpu import usable_cores

AUDIO_TOKENS, VISUAL_TOKENS = (25, 60), (60, 140)  # shortest and longest clip: 2 to 5 s
SETTINGS = FitSettings(epochs=1, selection="last")  # otherwise the paper's: batches of 32, Adam at 5e-5


class Material:
    """The same random features in a cache and in one file per clip.

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

    def features(self) -> FeatureSet:
        """Read them from the cache."""
        return FeatureSet(self.cache, self.corpus, self.corpus.clips)

    def read(self, clip: Clip) -> Example:
        """Read a clip from its file."""
        assert clip.audio is not None
        with np.load(clip.audio) as arrays:
            features = WindowFeatures(arrays["audio"], arrays["visual"])
        return Example(clip.id, features, np.asarray(clip.target, np.float32), clip.speaker)


def plain_loop(build: Callable[[], VavlSystem], material: Material, batch_size: int) -> None:
    """Train one epoch as a first version would."""
    system = build().train()
    steps = system.parameter_steps()
    parameters = {id(p): p for group in steps.values() for p in group}.values()
    optimizer = torch.optim.AdamW(parameters, SETTINGS.learning_rate, weight_decay=0.0, fused=True)
    clips = material.corpus.clips
    for at in range(0, len(clips), batch_size):
        batch = collate([material.read(clip) for clip in clips[at : at + batch_size]])
        for step in steps:
            optimizer.zero_grad(set_to_none=True)
            loss = system.loss(step, batch)
            assert loss is not None
            loss.backward()
            optimizer.step()


def run_fit(build: Callable[[], VavlSystem], features: FeatureSet) -> None:
    """Train one epoch by `fit`, and save the model, which the loops do not do."""
    with tempfile.TemporaryDirectory() as folder:
        fit(build, features, None, SETTINGS, RunFolder(Path(folder), {}), accelerator="cpu")


def measure(config: VavlConfig, clips: int, repeats: int, folder: Path) -> Record:
    """Clips per second by variant and round."""
    material = Material(folder, config, clips)
    cached = material.features()

    def build() -> VavlSystem:
        torch.manual_seed(SETTINGS.seed)
        return VavlSystem(Vavl(config))

    variants = {
        "fit": partial(run_fit, build, cached),
        "file batches": partial(plain_loop, build, material, SETTINGS.batch_size),
        "clip by clip": partial(plain_loop, build, material, 1),
    }
    turns = take_turns(variants, repeats, 0.0)
    return {
        "parameters": sum(p.numel() for p in build().parameters()),
        "clips_per_second": {name: clips / statistics.median(taken) for name, taken in turns.items()},
        "gain": {name: advantage(turns["fit"], taken) for name, taken in turns.items() if name != "fit"},
        "rounds": {name: [clips / took for took in taken] for name, taken in turns.items()},
    }


def table(record: Record) -> str:
    """The section of a record."""
    environment, tokens, size = record["environment"], record["tokens"], record["batch_size"]
    speeds, gains = record["clips_per_second"], record["gain"]
    titles = {
        "fit": "`fit` on the feature cache",
        "file batches": f"plain loop, one file per clip, batches of {size} in order",
        "clip by clip": "plain loop, one file per clip, one update per clip",
    }
    lines = [
        "## One epoch of training on cached features, on the CPU",
        "",
        f"`{record['command']}`: {record['clips']} clips of random features ({tokens['audio'][0]} to "
        f"{tokens['audio'][1]} audio tokens, {tokens['visual'][0]} to {tokens['visual'][1]} video tokens), VAVL with "
        f"{record['parameters']:,} parameters, the three steps of Algorithm 1, the same optimiser; "
        f"{environment['processor']}, {environment['threads']} threads, torch {environment['torch']}. Median of "
        f"{len(record['rounds']['fit'])} rounds; in brackets the least and the largest of a round.",
        "",
        "| training | clips/s | `fit` is faster |",
        "|---|---:|---:|",
    ]
    for name, title in titles.items():
        rounds, gain = record["rounds"][name], gains.get(name)
        faster = f"{gain['of_medians']:.1f} x ({gain['least']:.1f} to {gain['largest']:.1f})" if gain else ""
        lines.append(f"| {title} | {speeds[name]:.0f} ({min(rounds):.0f} to {max(rounds):.0f}) | {faster} |")
    lines += ["", "All files were in the page cache, which flatters the loops."]
    return "\n".join(lines) + "\n"


def figure(record: Record) -> str:
    """The README's line."""
    speeds = record["clips_per_second"]
    return (
        f"- One epoch of `vavl-train fit` on cached features, {record['parameters'] / 1e6:.1f} M parameters, "
        f"{record['environment']['threads']} CPU threads: {speeds['fit']:.0f} clips/s, against "
        f"{speeds['file batches']:.0f} for a plain loop in batches of {record['batch_size']} and "
        f"{speeds['clip by clip']:.0f} for one update per clip. `{record['command']}`\n"
    )


def main() -> int:
    """Measure and write the record."""
    parser = benchmark_parser("fit_cpu", __doc__)
    parser.add_argument("--clips", type=int, default=512)
    parser.add_argument("--preset", choices=sorted(PRESETS), default="light")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=usable_cores())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    command = (
        f"python -m benchmarks.fit_cpu --preset {arguments.preset} --clips {arguments.clips} "
        f"--repeats {arguments.repeats} --threads {arguments.threads}"
    )
    record = {
        **new_record("fit_cpu", command, arguments.threads),
        "clips": arguments.clips,
        "batch_size": SETTINGS.batch_size,
        "tokens": {"audio": AUDIO_TOKENS, "visual": VISUAL_TOKENS},
    }
    with tempfile.TemporaryDirectory() as folder:
        record |= measure(PRESETS[arguments.preset](), arguments.clips, arguments.repeats, Path(folder))
    write_record(record, arguments.output)
    print(arguments.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""``vavl-train features`` and ``vavl-train fit`` under the harness."""

import multiprocessing
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

from benchmarks.kills.command import Command, require
from vavl.checkpoint import load_checkpoint
from vavl.errors import VavlError
from vavl.features import FeatureCache
from vavl.features.cache import JOURNAL
from vavl.training.run_folder import read_history

EPOCHS = 4


class TrainFeatures(Command):
    """Extracts the features of eight clips, with and without three that are in the cache already."""

    name, module = "vavl-train features", "vavl"
    compared = "every value of every clip"
    outputs = ("out",)

    def main(self) -> Callable[[], None]:
        """Import the command. Its workers are forked here, not spawned: each would take long to import PyTorch."""
        import torch

        from vavl.cli import train
        from vavl.features import encoding, extract

        assert encoding is not None
        torch.set_num_threads(1)  # see below
        context = multiprocessing.get_context("fork")
        extract.multiprocessing = SimpleNamespace(get_context=lambda kind: context)  # type: ignore[assignment]
        return train.main

    def arguments(self, number: int) -> list[str]:
        """See `Command`."""
        return ["features", "manifest", str(self.inputs.manifest), "-o", "out", "--workers", "1"]

    def prepare(self, folder: Path, number: int) -> None:
        """See `Command`."""
        if number % 2:
            shutil.copytree(self.inputs.features, folder / "out")
            journal = folder / "out" / JOURNAL
            journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:3]))

    def check(self, folder: Path, number: int, said: str) -> None:
        """See `Command`."""
        there = self._clips(folder) if (folder / "out" / "cache.json").exists() else {}
        reported = [int(count) for count in re.findall(r"^(\d+)/\d+ clips", said, re.MULTILINE)]
        least = max(reported, default=3 if number % 2 else 0)
        require(len(there) >= least, f"{least} clips were reported or there before, {len(there)} are in the cache")
        whole = self._read(self.inputs.features)
        require(all(whole[clip] == values for clip, values in there.items()), "a clip has other features")

    def result(self, folder: Path, number: int) -> object:
        """See `Command`."""
        return self._clips(folder)

    def _clips(self, folder: Path) -> dict[str, list[bytes]]:
        try:
            return self._read(folder / "out")
        except VavlError as error:
            require(False, f"the cache does not load: {error}")
            raise

    @staticmethod
    def _read(cache: Path) -> dict[str, list[bytes]]:
        with FeatureCache(cache) as opened:
            return {
                clip: [
                    values.tobytes()
                    for window in opened.windows(clip)
                    for values in (window.audio, window.visual)
                    if values is not None
                ]
                for clip in opened
            }


class TrainFit(Command):
    """Trains a light model for four epochs, with and without a finished run of other settings in its place."""

    name, module = "vavl-train fit", "vavl"
    compared = "history, and weights of the checkpoint"
    outputs = ("out",)

    def main(self) -> Callable[[], None]:
        """See `Command`."""
        import torch

        from vavl.cli import train
        from vavl.training import run

        assert run is not None
        torch.set_num_threads(1)  # a forked process would wait forever for the other threads of a pool
        return train.main

    def arguments(self, number: int) -> list[str]:
        """See `Command`."""
        restart = ["--restart"] if number % 2 else []
        corpus = ("manifest", str(self.inputs.manifest), "--features", str(self.inputs.features))
        return [
            "fit",
            *corpus,
            "--preset",
            "light",
            "--epochs",
            str(EPOCHS),
            "--accelerator",
            "cpu",
            "-o",
            "out",
            *restart,
        ]

    def again(self, folder: Path, number: int) -> list[str]:
        """Resume the run, unless it was killed before it had replaced the earlier one."""
        if number % 2 == 0:
            return self.arguments(number)
        settings = folder / "out" / "settings.json"
        earlier = (self.inputs.earlier / "settings.json").read_text("utf-8")
        replaced = not settings.exists() or settings.read_text("utf-8") != earlier
        return [part for part in self.arguments(number) if part != "--restart" or not replaced]

    def prepare(self, folder: Path, number: int) -> None:
        """See `Command`."""
        if number % 2:
            shutil.copytree(self.inputs.earlier, folder / "out")

    def check(self, folder: Path, number: int, said: str) -> None:
        """See `Command`."""
        import torch

        out = folder / "out"
        require(bool(number % 2 == 0 or (out / "checkpoint").exists()), "the older checkpoint is gone")
        if (out / "checkpoint").exists():
            self._weights(folder)
        done = said.count("epoch ")
        lines = read_history(out)
        require([line["epoch"] for line in lines] == list(range(len(lines))), "the history has holes")
        epochs = torch.load(out / "state.pt", weights_only=True)["epochs_done"] if (out / "state.pt").exists() else 0
        if done:
            require(min(len(lines), epochs) >= done, f"{done} epochs were reported, {epochs} are kept")
            torch.load(out / "best.pt", weights_only=True)

    def result(self, folder: Path, number: int) -> object:
        """See `Command`."""
        return read_history(folder / "out"), self._weights(folder)

    @staticmethod
    def _weights(folder: Path) -> dict[str, bytes]:
        try:
            model = load_checkpoint(folder / "out" / "checkpoint").model
        except VavlError as error:
            require(False, f"the checkpoint is not whole: {error}")
            raise
        return {name: value.numpy().tobytes() for name, value in model.state_dict().items()}

"""The folder of one training run: settings, state to resume from, best weights, history, TensorBoard events.

RUN/settings.json    what was asked; a run of other settings in the same folder is refused
    state.pt         weights, optimiser and epoch count after the last epoch
    best.pt          weights of the chosen epoch
    history.jsonl    one line an epoch
    tensorboard/     the same for TensorBoard
"""

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from vavl_runtime.errors import ConfigError
from vavl_runtime.files import write_atomically


@dataclass(frozen=True)
class TrainingState:
    """Everything that the next epoch depends on, plus the best epoch so far."""

    epochs_done: int
    best_score: float
    best_epoch: int
    system: dict[str, Any]
    optimizer: dict[str, Any]
    scaler: dict[str, Any]


class RunFolder:
    """Reads and writes a run's files; every write is complete or absent.

    Args:
        folder: Created if need be.
        settings: JSON values that describe the run completely.
        restart: Forget an earlier run in this folder.

    Raises:
        ConfigError: The folder holds a run of other settings.
        OutputError: The folder cannot be written.
    """

    def __init__(self, folder: Path, settings: dict[str, Any], *, restart: bool = False) -> None:
        self.folder = folder
        self._writer: Any = None
        path = folder / "settings.json"
        if restart:
            for name in ("state.pt", "best.pt", "history.jsonl", "settings.json"):
                (folder / name).unlink(missing_ok=True)
            for events in (folder / "tensorboard").glob("events.*"):
                events.unlink()
        content = json.dumps(settings, indent=2, sort_keys=True) + "\n"
        if path.exists() and path.read_text("utf-8") != content:
            before = json.loads(path.read_text("utf-8"))
            changed = sorted(key for key in before.keys() | settings.keys() if before.get(key) != settings.get(key))
            raise ConfigError(
                f"{folder}: holds a run of other settings ({', '.join(changed)}); name another folder, or pass "
                "--restart to forget it"
            )
        write_atomically(path, content.encode())

    def load_state(self) -> TrainingState | None:
        """The state after the last complete epoch, or None for a fresh run."""
        if not (self.folder / "state.pt").exists():
            return None
        return TrainingState(**self._load("state.pt"))

    def save_state(self, state: TrainingState) -> None:
        """Replace the state."""
        self._save("state.pt", {key: getattr(state, key) for key in TrainingState.__dataclass_fields__})

    def save_best(self, weights: dict[str, Any]) -> None:
        """Replace the best weights."""
        self._save("best.pt", weights)

    def load_best(self) -> dict[str, Any]:
        """The best weights so far."""
        found: dict[str, Any] = self._load("best.pt")
        return found

    def history(self) -> list[dict[str, Any]]:
        """The lines of all epochs."""
        return read_history(self.folder)

    def log(self, line: dict[str, Any]) -> None:
        """Add an epoch's line to the history and to TensorBoard's events."""
        # Called after the state is saved: a line that an interruption kept out is missing, never double.
        lines = [entry for entry in self.history() if entry["epoch"] < line["epoch"]] + [line]
        write_atomically(self.folder / "history.jsonl", "".join(json.dumps(entry) + "\n" for entry in lines).encode())
        if self._writer is None:
            from tensorboard.summary import Writer

            self._writer = Writer(str(self.folder / "tensorboard"))
        for key, value in line.items():
            if key != "epoch":
                self._writer.add_scalar(key, value, line["epoch"])
        self._writer.flush()

    def _save(self, name: str, content: Any) -> None:
        buffer = io.BytesIO()
        torch.save(content, buffer)
        write_atomically(self.folder / name, buffer.getvalue())

    def _load(self, name: str) -> Any:
        try:
            return torch.load(self.folder / name, map_location="cpu", weights_only=True)
        except (OSError, RuntimeError, ValueError, EOFError) as error:
            raise ConfigError(
                f"{self.folder / name}: cannot be read ({error}); pass --restart to begin anew"
            ) from error


def read_history(folder: Path) -> list[dict[str, Any]]:
    """The lines of all finished epochs of a run folder."""
    path = folder / "history.jsonl"
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]

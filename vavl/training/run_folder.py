"""The folder of one training run: settings, state to resume from, best weights, history, TensorBoard events.

RUN/settings.json    what was asked; a run of other settings in the same folder is refused
    state.pt         weights, optimiser and epoch count after the last epoch
    best.pt          weights of the chosen epoch
    history.jsonl    one line an epoch
    tensorboard/     the same for TensorBoard
"""

import io
import json
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from vavl.errors import ConfigError
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
        content = json.dumps(settings, indent=2, sort_keys=True) + "\n"
        if restart:
            for name in ("state.pt", "best.pt", "history.jsonl", "settings.json"):
                (folder / name).unlink(missing_ok=True)
            self._forget_events()
        elif path.exists() and (before := path.read_text("utf-8")) != content:
            raise ConfigError(
                f"{folder}: holds a run of other settings ({', '.join(_changed(before, content))}); name another "
                "folder, or pass --restart to forget it"
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
        """Add an epoch's line to the history and to TensorBoard's events.

        Call before the epoch's state is saved: after an interruption in between, the epoch is trained again and its
        line replaced, so that none is missing or double.
        """
        lines = [entry for entry in self.history() if entry["epoch"] < line["epoch"]] + [line]
        write_atomically(self.folder / "history.jsonl", "".join(json.dumps(entry) + "\n" for entry in lines).encode())
        if self._writer is None:
            from tensorboard.summary import Writer

            self._forget_events()  # of an earlier sitting, whose lines are written again
            self._writer = Writer(str(self.folder / "tensorboard"))
        else:
            lines = lines[-1:]
        for entry in lines:
            for key in entry.keys() - {"epoch"}:
                self._writer.add_scalar(key, entry[key], entry["epoch"])
        self._writer.flush()

    def close(self) -> None:
        """Release TensorBoard's file; another line opens a new one."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _forget_events(self) -> None:
        for events in (self.folder / "tensorboard").glob("events.*"):
            events.unlink()

    def _save(self, name: str, content: Any) -> None:
        buffer = io.BytesIO()
        torch.save(content, buffer)
        write_atomically(self.folder / name, buffer.getvalue())

    def _load(self, name: str) -> Any:
        try:
            return torch.load(self.folder / name, map_location="cpu", weights_only=True)
        except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
            reason = str(error).splitlines()[0]
            raise ConfigError(
                f"{self.folder / name}: cannot be read ({reason}); pass --restart to begin anew"
            ) from error


def _changed(before: str, now: str) -> list[str]:
    """Names of the settings that differ."""
    try:
        old, new = json.loads(before), json.loads(now)
        return sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
    except (ValueError, AttributeError) as error:
        return [f"not readable: {error}"]


def read_history(folder: Path) -> list[dict[str, Any]]:
    """The lines of all finished epochs of a run folder."""
    path = folder / "history.jsonl"
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]

"""The folder of one training run: settings, state to resume from, best weights, history, TensorBoard events.

RUN/settings.json    the experiment; a run with other settings in the same folder is refused
    state.pt         weights, optimiser and epoch count after the last complete epoch
    best.pt          weights of the best epoch
    history.jsonl    one line per epoch
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
from vavl_runtime.files import name_leftovers_in, write_atomically


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
    """Reads and writes the files of a run. A file is written completely or not at all.

    Args:
        folder: Created if it does not exist.
        settings: JSON values that describe the run completely.
        restart: Delete an earlier run in this folder.

    Raises:
        ConfigError: The folder holds a run with other settings.
        OutputError: The folder cannot be written.
    """

    def __init__(self, folder: Path, settings: dict[str, Any], *, restart: bool = False) -> None:
        self.folder = folder
        self._writer: Any = None
        path = folder / "settings.json"
        name_leftovers_in(folder)
        content = json.dumps(settings, indent=2, sort_keys=True) + "\n"
        if restart:
            for name in ("state.pt", "best.pt", "history.jsonl", "settings.json"):
                (folder / name).unlink(missing_ok=True)
            self._delete_events()
        elif path.exists() and (before := path.read_text("utf-8")) != content:
            raise ConfigError(
                f"{folder}: holds a run with other settings ({', '.join(_changed(before, content))}); name another "
                "folder, or restart the run, which deletes the earlier one",
                argument="restart",
            )
        if not path.exists():
            write_atomically(path, content.encode())

    def load_state(self) -> TrainingState | None:
        """Load the state after the last complete epoch; None if the run has not finished an epoch."""
        if not (self.folder / "state.pt").exists():
            return None
        return TrainingState(**self._load("state.pt"))

    def save_state(self, state: TrainingState) -> None:
        """Write the state after an epoch, in place of the earlier one."""
        self._save("state.pt", {key: getattr(state, key) for key in TrainingState.__dataclass_fields__})

    def save_best(self, weights: dict[str, Any]) -> None:
        """Write the weights of the best epoch so far."""
        self._save("best.pt", weights)

    def load_best(self) -> dict[str, Any]:
        """Load the weights of the best epoch so far."""
        found: dict[str, Any] = self._load("best.pt")
        return found

    def history(self) -> list[dict[str, Any]]:
        """The lines of all epochs; see `read_history`."""
        return read_history(self.folder)

    def log(self, line: dict[str, Any]) -> None:
        """Add an epoch's line to the history and to TensorBoard's events.

        Call it before `save_state`. If the process ends between the two calls, the epoch is trained again and its line
        replaced, so no line is missing or written twice.
        """
        lines = [entry for entry in self.history() if entry["epoch"] < line["epoch"]] + [line]
        write_atomically(self.folder / "history.jsonl", "".join(json.dumps(entry) + "\n" for entry in lines).encode())
        if self._writer is None:
            from tensorboard.summary import Writer

            self._delete_events()  # of an earlier process; its lines are written again below
            self._writer = Writer(str(self.folder / "tensorboard"))
        else:
            lines = lines[-1:]
        for entry in lines:
            for key in entry.keys() - {"epoch"}:
                self._writer.add_scalar(key, entry[key], entry["epoch"])
        self._writer.flush()

    def close(self) -> None:
        """Close TensorBoard's file; the next line opens a new one."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _delete_events(self) -> None:
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
                f"{self.folder / name}: cannot be read ({reason}); restart the run to begin again", argument="restart"
            ) from error


def _changed(before: str, now: str) -> list[str]:
    """Names of the settings that differ."""
    try:
        old, new = json.loads(before), json.loads(now)
        return sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
    except (ValueError, AttributeError) as error:
        return [f"not readable: {error}"]


def read_history(folder: Path) -> list[dict[str, Any]]:
    """Read the history of a run folder: losses and scores, one line per finished epoch."""
    path = folder / "history.jsonl"
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]

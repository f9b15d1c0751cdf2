"""Reads the nine state dicts of a released folder and renames their tensors; refuses unknown tensors."""

import pickle
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from vavl.errors import ConfigError
from vavl.released.keys import FILES, expand_table


@dataclass(frozen=True)
class ReleasedTensor:
    """A tensor and its origin.

    Attributes:
        source: File and released name, for messages.
        value: The tensor as in the file.
    """

    source: str
    value: Tensor


def read_weights(folder: Path) -> dict[str, ReleasedTensor]:
    """Read every tensor that the model uses.

    Args:
        folder: Holds the files of `vavl.released.keys.FILES`.

    Returns:
        Finite float32 tensors (and int64 counters), by their name in `vavl.model.Vavl`.

    Raises:
        ConfigError: A file is not a plain state dict, holds a tensor that is not in the key table, or lacks one that
            the model needs; all such tensors of all files are listed.
    """
    weights: dict[str, ReleasedTensor] = {}
    wrong: list[str] = []
    for file, template in FILES.items():
        state = _read_state(folder / file)
        table = expand_table(template, state)
        wrong += [f"{file}: unknown {old}" for old in state if old not in table]
        for old, new in table.items():
            if new is None:
                continue  # dropped on purpose; it may be missing
            if old not in state:
                wrong.append(f"{file}: missing {old}")
            elif problem := _problem(state[old], torch.int64 if old.endswith("num_batches_tracked") else torch.float32):
                wrong.append(f"{file}: {old}: {problem}")
            else:
                weights[new] = ReleasedTensor(f"{file}: {old}", state[old])
    if wrong:
        raise ConfigError(f"{folder}: not what the released code saves; nothing was imported: {'; '.join(wrong)}")
    return weights


def _read_state(path: Path) -> dict[str, object]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:  # its own text advises to switch the protection off
        raise ConfigError(
            f"{path}: holds more than tensors. A pickled object can run code, so it was not opened; expected a "
            "plain state dict. In an environment you trust, run torch.save(module.state_dict(), FILE)"
        ) from error
    except Exception as error:  # torch.load raises many types for a damaged file
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ConfigError(f"{path}: not a readable state dict ({reason}); copy the file anew") from error
    if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
        raise ConfigError(f"{path}: got a {type(state).__name__}, expected a dict of names and tensors")
    return state


def _problem(value: object, dtype: torch.dtype) -> str | None:
    if not isinstance(value, Tensor):
        return f"got a {type(value).__name__}, expected a tensor"
    if value.dtype != dtype:
        return f"got {value.dtype}, expected {dtype}"
    # A view can have any size without the data for it, and the sizes determine how large a model is built.
    if value.layout != torch.strided or value.device.type != "cpu" or not value.is_contiguous() or not value.numel():
        return "expected a dense tensor with at least one value"
    if not torch.isfinite(value).all():
        return "not all values are finite"
    return None

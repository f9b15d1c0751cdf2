"""Checkpoints: a folder with ``config.json`` and ``model.safetensors``; pickle is not used."""

import contextlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

from vavl.config import StrictModel, VavlConfig
from vavl.errors import ConfigError
from vavl.model import Vavl
from vavl_runtime.files import folder_beside, write_atomically

CHECKPOINT = "checkpoint"  # the folder of it in a run folder
CONFIG = "config.json"
WEIGHTS = "model.safetensors"


class CheckpointDescription(StrictModel):
    """The content of ``config.json``.

    Attributes:
        format_version: Version of this layout.
        model: The model's configuration.
        audio_encoder: Reference of the audio encoder that the model was trained with (see
            `vavl.encoders.reference`). Relative paths are relative to the checkpoint folder.
        face_encoder: The same for the face encoder.
        audio_encoder_sha256: Hash of that encoder in training (`LoadedEncoder.weights_sha256`); export refuses an
            encoder with another hash. None if it is not known.
        face_encoder_sha256: The same for the face encoder.
        token_rate: Tokens a second that the features of faces had in training; None for a token a frame.
        trained: False if the weights are random.
        provenance: Data, command and version, as free text.
    """

    format_version: int = 1
    model: VavlConfig
    audio_encoder: str
    face_encoder: str
    audio_encoder_sha256: str | None = None
    face_encoder_sha256: str | None = None
    token_rate: float | None = None
    trained: bool
    provenance: str = ""


@dataclass(frozen=True)
class Checkpoint:
    """A model and its description.

    Attributes:
        model: The network.
        description: Configuration, encoders and provenance.
    """

    model: Vavl
    description: CheckpointDescription


def save_checkpoint(checkpoint: Checkpoint, folder: Path) -> None:
    """Write a checkpoint. An earlier one in the folder is replaced as a whole or stays.

    Args:
        checkpoint: The checkpoint to write.
        folder: Created if it does not exist. Where it holds more than a checkpoint, each file is replaced for itself.

    Raises:
        OutputError: The folder cannot be written.

    Example:
        >>> import tempfile
        >>> from vavl.config import light_config
        >>> config = light_config(audio_dim=10, visual_dim=8)
        >>> description = CheckpointDescription(
        ...     model=config, audio_encoder="prosody", face_encoder="landmarks", trained=False
        ... )
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_checkpoint(Checkpoint(Vavl(config), description), Path(folder))
        ...     load_checkpoint(Path(folder)).description.model == config
        True
    """
    from safetensors.torch import save

    tensors = {name: value.contiguous() for name, value in checkpoint.model.state_dict().items()}
    files = {
        WEIGHTS: save(tensors),
        CONFIG: (checkpoint.description.model_dump_json(indent=2) + "\n").encode(),
    }
    folder = Path(os.path.realpath(folder))  # a link keeps pointing to its folder
    # Weights and configuration belong together: a process that is killed must not leave those of two checkpoints.
    alone = not folder.exists() or (folder.is_dir() and {path.name for path in folder.iterdir()} == files.keys())
    with folder_beside(folder, overwrite=True) if alone else contextlib.nullcontext(folder) as place:
        for name, content in files.items():
            write_atomically(place / name, content)


def find_checkpoint(folder: Path) -> Path:
    """The checkpoint folder that a user means: the folder itself, or ``checkpoint`` in a run folder.

    Args:
        folder: A checkpoint folder or a run folder of ``vavl-train fit``.
    """
    inside = folder / CHECKPOINT
    return inside if not (folder / CONFIG).exists() and (inside / CONFIG).exists() else folder


def load_checkpoint(folder: Path) -> Checkpoint:
    """Read a checkpoint.

    Args:
        folder: A folder written by `save_checkpoint`.

    Returns:
        The model in evaluation mode, and its description.

    Raises:
        ConfigError: A file is missing or malformed, or the tensors do not fit the configuration.
    """
    from pydantic import ValidationError
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise ConfigError(f"{folder}: no {name}; expected a checkpoint folder with {CONFIG} and {WEIGHTS}")
    try:
        description = CheckpointDescription.model_validate(json.loads((folder / CONFIG).read_text("utf-8")))
        state = load_file(folder / WEIGHTS)
    except (ValueError, OSError, ValidationError, SafetensorError) as error:
        raise ConfigError(f"{folder}: not a readable checkpoint: {error}") from error
    if description.format_version != 1:
        raise ConfigError(f"{folder}: checkpoint format {description.format_version}, this version reads 1")
    model = Vavl(description.model)
    expected = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in state.items()}
    wrong = [
        f"{name}: got {found.get(name, 'nothing')}, expected {expected.get(name, 'nothing')}"
        for name in sorted(expected.keys() | found.keys())
        if expected.get(name) != found.get(name)
    ]
    if wrong:
        raise ConfigError(f"{folder / WEIGHTS}: {len(wrong)} tensors do not fit {CONFIG}: {'; '.join(wrong[:4])}")
    model.load_state_dict(state)
    return Checkpoint(model.eval(), description)

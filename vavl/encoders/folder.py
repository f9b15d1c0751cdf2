"""Encoder folders, as ``vavl-train audio-encoder`` and ``face-encoder`` write them; a reference can name one.

encoder.json           the network and the settings that build it
encoder.safetensors    its weights
"""

import json
from pathlib import Path
from typing import Any

from torch import nn

from vavl.config import WaveformNormalization
from vavl.encoders.base import AudioEncoder, FaceEncoder
from vavl.encoders.light_audio import LightAudioEncoder
from vavl.encoders.light_face import LightFaceEncoder
from vavl.encoders.timm_face import TimmFaceEncoder
from vavl.encoders.wav2vec2 import Wav2Vec2Encoder
from vavl.errors import ConfigError
from vavl_runtime.files import write_atomically

CONFIG = "encoder.json"
WEIGHTS = "encoder.safetensors"


def save_encoder(module: AudioEncoder | FaceEncoder, folder: Path, provenance: str = "") -> None:
    """Write an encoder to a folder.

    Args:
        module: Any encoder of this package.
        folder: Created if it does not exist.
        provenance: Data and command, as free text.

    Raises:
        OutputError: The folder cannot be written.
    """
    from safetensors.torch import save

    kind = "audio" if isinstance(module, AudioEncoder) else "face"
    network, settings = _describe(module)
    description = {"kind": kind, "network": network, "settings": settings, "provenance": provenance}
    state = {name: value.detach().cpu().contiguous() for name, value in module.state_dict().items()}
    write_atomically(folder / WEIGHTS, save(state))
    write_atomically(folder / CONFIG, (json.dumps(description, indent=2) + "\n").encode())


def is_encoder_folder(path: Path | None) -> bool:
    """Whether a path is a folder written by `save_encoder`."""
    return path is not None and (path / CONFIG).is_file()


def read_encoder(
    folder: Path, kind: str, normalization: WaveformNormalization
) -> tuple[AudioEncoder | FaceEncoder, dict[str, Any]]:
    """Build the network that an encoder folder describes, and read its weights.

    Args:
        folder: The folder.
        kind: The kind that is expected, ``audio`` or ``face``.
        normalization: Waveform normalisation of a wav2vec2.

    Returns:
        The network with initial weights, and the state dict to load into it.

    Raises:
        ConfigError: The folder is damaged or holds the other kind.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        description = json.loads((folder / CONFIG).read_text("utf-8"))
        state = load_file(folder / WEIGHTS)
        found, network, settings = description["kind"], description["network"], dict(description["settings"])
        if found == kind:
            module = _build(network, settings, normalization)
            if not isinstance(module, AudioEncoder if kind == "audio" else FaceEncoder):
                raise ValueError(f"network {network!r} with these settings is no {kind} encoder")
            return module, state
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise ConfigError(f"{kind} encoder {folder}: not a folder with {CONFIG} and {WEIGHTS} ({error})") from error
    raise ConfigError(f"{kind} encoder {folder}: this folder holds a {found} encoder")


def _describe(module: nn.Module) -> tuple[str, dict[str, Any]]:
    if isinstance(module, LightAudioEncoder | LightFaceEncoder):
        return "light", module.settings
    if isinstance(module, Wav2Vec2Encoder):
        return "wav2vec2", module.settings
    if isinstance(module, TimmFaceEncoder):
        return "timm", module.settings
    raise TypeError(f"no encoder of this package: {type(module).__name__}")


def _build(network: str, settings: dict[str, Any], normalization: WaveformNormalization) -> AudioEncoder | FaceEncoder:
    if network == "light" and "bands" in settings:
        return LightAudioEncoder(**settings)
    if network == "light":
        from facenet_pytorch.models.mtcnn import ONet

        return LightFaceEncoder(ONet(pretrained=False), **settings)
    if network == "wav2vec2":
        from transformers import Wav2Vec2Config, Wav2Vec2Model

        return Wav2Vec2Encoder(Wav2Vec2Model(Wav2Vec2Config(**settings)), normalization, settings["num_hidden_layers"])
    if network == "timm":
        import timm

        features = timm.create_model(settings["name"], num_classes=0)
        return TimmFaceEncoder(features, settings["mean"], settings["std"], settings["name"])
    raise ValueError(f"unknown network {network!r}")

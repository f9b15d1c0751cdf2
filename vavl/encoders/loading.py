"""Loads the encoder that a reference string names. Pickled code is never run."""

import hashlib
import json
from typing import Any

import torch
from torch import nn

from vavl.config import WaveformNormalization
from vavl.encoders.base import AudioEncoder, FaceEncoder, LoadedEncoder
from vavl.encoders.folder import is_encoder_folder, read_encoder
from vavl.encoders.light_audio import LightAudioEncoder
from vavl.encoders.light_face import LightFaceEncoder
from vavl.encoders.reference import Reference, is_random, parse_reference
from vavl.encoders.timm_face import EFFICIENTNET_B2, TimmFaceEncoder
from vavl.encoders.wav2vec2 import LARGE_ROBUST, LARGE_ROBUST_LAYERS, Wav2Vec2Encoder
from vavl.errors import ConfigError, EncoderUnavailableError
from vavl_runtime.errors import UnreadableFileError


def load_audio_encoder(
    reference: str, normalization: WaveformNormalization | None = None
) -> LoadedEncoder[AudioEncoder]:
    """Load an audio encoder.

    Args:
        reference: See `vavl.encoders.reference`.
        normalization: How the waveform is normalised inside the graph; by default per utterance. The light encoder
            measures loudness and refuses ``global``.

    Returns:
        The encoder in evaluation mode.

    Raises:
        ConfigError: The reference is malformed or names no audio encoder, or weights do not fit the network.
        EncoderUnavailableError: The weights cannot be downloaded; the message says what to do.
    """
    parsed = parse_reference(reference)
    normalization = normalization or WaveformNormalization()
    module: AudioEncoder
    if parsed.name == "light":
        module = _seeded(parsed, LightAudioEncoder)
    elif parsed.name == "prosody":
        module = LightAudioEncoder(width=0, blocks=0, bands=0)
    elif parsed.kind == "random" and parsed.name == "wav2vec2-large-robust":
        module = Wav2Vec2Encoder(_seeded(parsed, _large_robust), normalization)
    elif is_encoder_folder(parsed.path):
        module = _from_folder(parsed, "audio", normalization)
    elif parsed.kind in ("hub", "folder") and not parsed.name.startswith("timm:"):
        module = Wav2Vec2Encoder(_wav2vec2_from_pretrained(parsed), normalization)
    elif parsed.kind == "file" and not parsed.name:
        network = _large_robust()
        _load_strictly(network, _rename_weight_norm(_read_state_dict(parsed)), parsed, droppable=("masked_spec_embed",))
        module = Wav2Vec2Encoder(network, normalization)
    else:
        raise ConfigError(
            f"audio encoder {reference!r}: expected prosody, light, random:light@SEED, "
            "random:wav2vec2-large-robust@SEED, hf:OWNER/NAME, or a local file or folder"
        )
    if isinstance(module, LightAudioEncoder) and normalization.kind == "global":
        raise ConfigError(
            f"audio encoder {reference!r}: the light encoder measures loudness, so it allows no global waveform "
            "normalisation; remove waveform_normalization from the configuration"
        )
    return _finish(module, parsed, trained=not is_random(reference, "audio"))


def load_face_encoder(reference: str) -> LoadedEncoder[FaceEncoder]:
    """Load a face encoder.

    Args:
        reference: See `vavl.encoders.reference`.

    Returns:
        The encoder in evaluation mode.

    Raises:
        ConfigError: The reference is malformed or names no face encoder, or weights do not fit the network.
        EncoderUnavailableError: The weights cannot be downloaded; the message says what to do.
    """
    parsed = parse_reference(reference)
    module: FaceEncoder
    if parsed.name in ("light", "landmarks"):
        module = _seeded(parsed, lambda: _light_face(parsed))
    elif parsed.name.startswith("timm:"):
        name = parsed.name.removeprefix("timm:")
        module = _seeded(parsed, lambda: _timm_encoder(name, parsed, pretrained=parsed.kind == "hub"))
        if parsed.kind == "file":
            _load_timm_state(module, parsed)
    elif is_encoder_folder(parsed.path):
        module = _from_folder(parsed, "face", WaveformNormalization())
    elif parsed.kind == "file":
        module = _timm_encoder(EFFICIENTNET_B2, parsed)
        _load_timm_state(module, parsed)
    else:
        raise ConfigError(
            f"face encoder {reference!r}: expected light, landmarks, random:light@SEED, timm:NAME, timm:NAME=FILE, "
            "random:timm:NAME@SEED, a state dict file, or an encoder folder"
        )
    return _finish(module, parsed, trained=not is_random(reference, "visual"))


def _finish(module: Any, parsed: Reference, trained: bool) -> LoadedEncoder[Any]:
    # The settings are part of the hash: with another margin, mean or number of bands, features differ.
    digest = hashlib.sha256(json.dumps({"version": module.version, **module.settings}, sort_keys=True).encode())
    for name, value in sorted(module.state_dict().items()):
        digest.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
        digest.update(value.detach().contiguous().numpy().tobytes())
    return LoadedEncoder(module.eval(), parsed.text, trained, digest.hexdigest())


def _seeded(parsed: Reference, build: Any) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(parsed.seed)
        return build()


def _light_face(parsed: Reference) -> LightFaceEncoder:
    try:
        from facenet_pytorch.models.mtcnn import ONet
    except ImportError as error:
        raise EncoderUnavailableError(
            f"face encoder {parsed.text!r}: O-Net comes with facenet-pytorch, which cannot be imported ({error}); "
            "pip install 'vavl-edge[export]'"
        ) from error
    with torch.no_grad():
        return LightFaceEncoder(ONet(pretrained=parsed.kind == "package"), hidden=parsed.name == "light")


def _from_folder(parsed: Reference, kind: str, normalization: WaveformNormalization) -> Any:
    assert parsed.path is not None
    module, state = read_encoder(parsed.path, kind, normalization)
    _load_strictly(module, state, parsed)
    return module


def _large_robust() -> Any:
    from transformers import Wav2Vec2Config, Wav2Vec2Model

    return Wav2Vec2Model(Wav2Vec2Config(**LARGE_ROBUST))


def _wav2vec2_from_pretrained(parsed: Reference) -> Any:
    from transformers import Wav2Vec2Config, Wav2Vec2Model

    source = str(parsed.path) if parsed.path else parsed.name
    try:
        config = Wav2Vec2Config.from_pretrained(source)
        config.num_hidden_layers = min(config.num_hidden_layers, LARGE_ROBUST_LAYERS)
        network, loading = Wav2Vec2Model.from_pretrained(source, config=config, output_loading_info=True)
    except (OSError, ValueError) as error:
        where = f"the folder {source}" if parsed.path else f"the hub as {source}"
        raise EncoderUnavailableError(
            f"audio encoder {parsed.text!r}: weights cannot be read from {where} ({_first_line(error)}). "
            f"On a machine with network access run: huggingface-cli download {parsed.name or 'OWNER/NAME'} config.json "
            "model.safetensors (or pytorch_model.bin) --local-dir wav2vec2; copy that folder here and give its path as "
            "the reference; or use random:wav2vec2-large-robust@0 where only shape and speed matter"
        ) from error
    # The library fills missing weights with random numbers and warns. Unused weights are dropped on purpose: of layers
    # above the kept ones, and of the heads of a fine-tuned model.
    wrong = [f"missing {name}" for name in sorted(loading["missing_keys"]) if name != "masked_spec_embed"]
    wrong += [f"{name}: wrong shape" for name in sorted(map(str, loading.get("mismatched_keys", ())))]
    if wrong:
        raise ConfigError(f"audio encoder {parsed.text!r}: weights do not fit the network: {'; '.join(wrong[:4])}")
    return network


def _timm_encoder(name: str, parsed: Reference, pretrained: bool = False) -> TimmFaceEncoder:
    import timm

    if not timm.is_model(name):
        raise ConfigError(f"face encoder {parsed.text!r}: timm knows no network {name!r}; see timm.list_models()")
    try:
        network = timm.create_model(name, pretrained=pretrained, num_classes=0)
    except (OSError, RuntimeError, ValueError) as error:
        raise EncoderUnavailableError(
            f"face encoder {parsed.text!r}: weights cannot be fetched ({_first_line(error)}). On a machine with "
            f"network access save timm.create_model({name!r}, pretrained=True).state_dict() with torch.save, copy the "
            f"file here and use timm:{name}=FILE; or random:timm:{name}@0 where only shape and speed matter"
        ) from error
    return TimmFaceEncoder(network, network.pretrained_cfg["mean"], network.pretrained_cfg["std"], name)


def _load_timm_state(module: TimmFaceEncoder, parsed: Reference) -> None:
    # The classifier is dropped on purpose: its input is the feature (D16).
    state = _read_state_dict(parsed)
    _load_strictly(module.network, state, parsed, droppable=("classifier.", "head.fc.", "fc."))


def _read_state_dict(parsed: Reference) -> dict[str, torch.Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    assert parsed.path is not None
    try:
        if parsed.path.suffix == ".safetensors":
            return dict(load_file(parsed.path))
        state = torch.load(parsed.path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise UnreadableFileError(f"encoder {parsed.text!r}: {error}") from error
    except (Exception, SafetensorError) as error:  # torch.load raises many types for a file it refuses
        raise ConfigError(
            f"encoder {parsed.text!r}: not a plain state dict ({_first_line(error)}). A pickled module can run code, "
            "so it is not opened. In an environment you trust, run torch.save(module.state_dict(), FILE) and name FILE"
        ) from error
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise ConfigError(f"encoder {parsed.text!r}: got a {type(state).__name__}, expected a dict of name to tensor")
    return state


def _rename_weight_norm(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    # Files written before torch 2.1 name the two tensors of weight norm differently.
    spelled = {"conv.weight_g": "conv.parametrizations.weight.original0"}
    spelled["conv.weight_v"] = "conv.parametrizations.weight.original1"
    renamed = {}
    for name, value in state.items():
        name = name.removeprefix("module.").removeprefix("wav2vec2.")
        for old, new in spelled.items():
            name = name.replace(old, new)
        renamed[name] = value
    return renamed


def _load_strictly(
    module: nn.Module, state: dict[str, torch.Tensor], parsed: Reference, droppable: tuple[str, ...] = ()
) -> None:
    expected = module.state_dict()
    optional = {name for name in expected if name.startswith(droppable) or name.endswith("num_batches_tracked")}
    kept = {name: value for name, value in state.items() if name in expected or not name.startswith(droppable)}
    wrong = [f"unknown {name}" for name in sorted(kept.keys() - expected.keys())]
    wrong += [f"missing {name}" for name in sorted(expected.keys() - kept.keys() - optional)]
    wrong += [
        f"{name}: got {tuple(kept[name].shape)}, expected {tuple(expected[name].shape)}"
        for name in sorted(kept.keys() & expected.keys())
        if kept[name].shape != expected[name].shape
    ]
    if wrong:
        listed = "; ".join(wrong[:4]) + (f"; and {len(wrong) - 4} more" if len(wrong) > 4 else "")
        raise ConfigError(f"encoder {parsed.text!r}: weights do not fit the network: {listed}")
    module.load_state_dict(kept, strict=False)


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]

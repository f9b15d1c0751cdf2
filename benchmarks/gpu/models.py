"""The networks that are measured, with random weights: the paper's sizes, or tiny ones for a dry run."""

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.gpu.plan import FRAMES_PER_S, Scope
from vavl.config import paper_config
from vavl.encoders.base import FACE_SIZE, SAMPLE_RATE, AudioEncoder, FaceEncoder
from vavl.encoders.loading import load_audio_encoder, load_face_encoder
from vavl.model import Vavl
from vavl_export.export_modules import prepare_for_export

TOKENS_PER_S = 50

Inputs = dict[str, Tensor]


@dataclass(frozen=True)
class Networks:
    """The three networks, in evaluation mode, on the CPU.

    Attributes:
        model: VAVL as it is exported: norms folded, heads of training removed.
        audio: The audio encoder.
        face: The face encoder.
        original: VAVL as the exporter takes it.
    """

    model: Vavl
    audio: AudioEncoder
    face: FaceEncoder
    original: Vavl


def make_networks(*, tiny: bool, seed: int = 0) -> Networks:
    """Make the networks of the paper, or tiny ones of the same build."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if tiny:
            audio, face = _tiny_audio(), load_face_encoder(f"random:timm:mobilenetv3_small_050@{seed}").module
            sizes = {"width": 32, "heads": 4, "audio_layers": 1, "visual_layers": 1, "shared_layers": 1}
            original = Vavl(paper_config(audio_dim=audio.dim, visual_dim=face.dim, **sizes)).eval()
        else:
            audio = load_audio_encoder(f"random:wav2vec2-large-robust@{seed}").module
            face = load_face_encoder(f"random:timm:tf_efficientnet_b2@{seed}").module
            original = Vavl(paper_config()).eval()
    for network in (audio, face):
        network.requires_grad_(False)
    return Networks(prepare_for_export(original), audio, face, original)


def _tiny_audio() -> AudioEncoder:
    from transformers import Wav2Vec2Config, Wav2Vec2Model

    from vavl.config import WaveformNormalization
    from vavl.encoders.wav2vec2 import LARGE_ROBUST, Wav2Vec2Encoder

    sizes = {"hidden_size": 32, "num_attention_heads": 4, "intermediate_size": 64, "num_hidden_layers": 2}
    convolutions = {"conv_dim": (16,) * 7, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4}
    network = Wav2Vec2Model(Wav2Vec2Config(**{**LARGE_ROBUST, **sizes, **convolutions})).eval()
    return Wav2Vec2Encoder(network, WaveformNormalization())


class Subject(nn.Module):
    """What is measured: inputs by name, all on the device, to outputs by name.

    Args:
        networks: The networks; only what is needed is kept.
        scope: ``whole`` from waveform and crops, ``path`` from features, ``encoder`` for one encoder.
        path: ``audio``, ``visual`` or ``audio_visual``.
    """

    def __init__(self, networks: Networks, scope: Scope, path: str) -> None:
        super().__init__()
        self.scope = scope
        self.hears, self.sees = path != "visual", path != "audio"
        self.audio_encoder: Any = networks.audio if self.hears and scope != "path" else None
        self.face_encoder: Any = networks.face if self.sees and scope != "path" else None
        self.model: Any = networks.model if scope != "encoder" else None
        if self.model is not None and path != "audio_visual":
            self.model = copy.deepcopy(self.model)
            self.model.audio_visual_head = None
            setattr(self.model, "visual" if path == "audio" else "audio", None)

    def forward(self, inputs: Inputs) -> Inputs:
        """Compute ``prediction`` and ``embedding``, or an encoder's features."""
        heard = self.hear(inputs) if self.hears else None
        seen = self.see(inputs) if self.sees else None
        return self.conclude(heard, seen)

    def hear(self, inputs: Inputs) -> Any:
        """Do all that depends on sound alone."""
        if self.scope == "path":
            return self.model.unimodal("audio", inputs["audio_features"], inputs["audio_lengths"])
        features, lengths = self.audio_encoder(inputs["waveform"], inputs["samples"])
        return features if self.model is None else self.model.unimodal("audio", features, lengths)

    def see(self, inputs: Inputs) -> Any:
        """Do all that depends on pictures alone."""
        if self.scope == "path":
            return self.model.unimodal("visual", inputs["visual_features"], inputs["visual_lengths"])
        features = self.face_encoder(inputs["faces"])
        if self.model is None:
            return features
        lengths = inputs["visual_lengths"]
        return self.model.unimodal("visual", features.reshape(len(lengths), -1, features.shape[-1]), lengths)

    def conclude(self, heard: Any, seen: Any) -> Inputs:
        """Do the rest with what `hear` and `see` gave: a `UnimodalOutput` each, or an encoder's features, or None."""
        if self.model is None:
            return {"audio_features": heard} if self.hears else {"face_features": seen}
        if heard is None or seen is None:
            alone = heard if seen is None else seen
            return {"prediction": self.model.presentation(alone.logits), "embedding": alone.embedding}
        logits, embedding = self.model.audio_visual(heard, seen)
        return {"prediction": self.model.presentation(logits), "embedding": embedding}


def make_inputs(networks: Networks, scope: Scope, path: str, seconds: float, batch: int, seed: int = 0) -> Inputs:
    """Make the inputs of a subject on the CPU: clips of the same length, noise as sound, random pixels or features.

    Args:
        networks: For the widths of features.
        scope: See `Subject`.
        path: See `Subject`.
        seconds: Media length of a clip; 50 tokens of sound and 25 frames a second.
        batch: Clips.
        seed: Of the numbers.

    Returns:
        ``waveform`` (B, S) and ``samples``, ``faces`` (B x frames, 224, 224, 3) and ``visual_lengths``, or features
        with their lengths.
    """
    generator = torch.Generator().manual_seed(seed)
    frames, tokens = max(1, round(FRAMES_PER_S * seconds)), max(1, round(TOKENS_PER_S * seconds) - 1)
    inputs: Inputs = {}
    if path != "visual" and scope == "path":
        inputs["audio_features"] = torch.randn(batch, tokens, networks.audio.dim, generator=generator)
        inputs["audio_lengths"] = torch.full((batch,), tokens)
    elif path != "visual":
        size = round(SAMPLE_RATE * seconds)
        inputs["waveform"] = 0.1 * torch.randn(batch, size, generator=generator)
        inputs["samples"] = torch.full((batch,), size)
    if path != "audio" and scope == "path":
        inputs["visual_features"] = torch.randn(batch, frames, networks.face.dim, generator=generator)
    elif path != "audio":
        shape = (batch * frames, FACE_SIZE, FACE_SIZE, 3)
        inputs["faces"] = torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
    if path != "audio" and scope != "encoder":
        inputs["visual_lengths"] = torch.full((batch,), frames)
    return inputs

"""Models whose graphs tests export, and the sessions that run them."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import onnxruntime as ort
import torch
from numpy.typing import NDArray
from transformers import Wav2Vec2Config, Wav2Vec2Model

from tests.vavl.small_wav2vec2 import SMALL
from vavl.config import VavlConfig, WaveformNormalization
from vavl.encoders import load_audio_encoder, load_face_encoder
from vavl.encoders.mtcnn import load_mtcnn
from vavl.encoders.wav2vec2 import Wav2Vec2Encoder
from vavl.model import Vavl
from vavl_export.graph_specs import GraphSpec, detector_specs, encoder_specs, path_specs
from vavl_export.request import random_checkpoint

TINY = {
    "audio_dim": 24,
    "visual_dim": 20,
    "width": 32,
    "heads": 4,
    "audio_layers": 1,
    "visual_layers": 1,
    "shared_layers": 1,
    "feed_forward_mult": 2,
    "conv_kernel": 7,
    "head_hidden": (16, 8),
}
REGRESSION = {"task": "regression", "labels": ("arousal", "dominance", "valence"), "flipped": ("arousal",)}


def tiny_model(**changes: object) -> Vavl:
    """A small model whose every parameter and statistic is random, so that nothing cancels by being 0 or 1."""
    generator = torch.Generator().manual_seed(7)
    model = Vavl(VavlConfig.create(**{**TINY, **changes})).eval()
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if not value.is_floating_point():
                continue
            noise = torch.randn(value.shape, generator=generator) * (value.shape[-1] ** -0.5 if value.ndim > 1 else 0.3)
            positive = name.endswith(("running_var", "std")) or ("norm" in name and name.endswith("weight"))
            value.copy_(1.0 + 0.5 * noise.tanh() if positive else noise)
    return model


@dataclass(frozen=True)
class Exported:
    """A graph with its plan and its session."""

    plan: GraphSpec
    session: ort.InferenceSession

    def run(self, *inputs: torch.Tensor | NDArray[np.generic]) -> list[NDArray[np.generic]]:
        """Run the graph on inputs in the plan's order."""
        named = {name: np.asarray(value) for name, value in zip(self.plan.inputs, inputs, strict=True)}
        return list(self.session.run(list(self.plan.outputs), named))


@cache
def _specs(kind: str) -> list[GraphSpec]:
    if kind == "classification":
        return path_specs(tiny_model())
    if kind == "ablated":
        return path_specs(tiny_model(residual=False, reconstruction=False, audio_visual_head=False))
    if kind == "released":
        return path_specs(tiny_model(layout="released", projection_kernel=1))
    if kind == "pretrained":
        return encoder_specs(load_audio_encoder("light").module, load_face_encoder("light").module)
    if kind == "tiny bundle":
        audio, face = load_audio_encoder("light").module, load_face_encoder("random:light@0").module
        model = tiny_model(audio_dim=audio.dim, visual_dim=face.dim, visual_dynamics="frames", **REGRESSION)
        return [*path_specs(model), *encoder_specs(audio, face), *detector_specs(load_mtcnn())]
    if kind == "wav2vec2":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            network = Wav2Vec2Model(Wav2Vec2Config(**SMALL)).eval()
            for parameter in network.parameters():  # biases and norms are 0 and 1 at first, and hide mistakes
                torch.nn.init.normal_(parameter, float(parameter.detach().mean().round()), 0.2)
        return encoder_specs(Wav2Vec2Encoder(network, WaveformNormalization()), load_face_encoder("light").module)
    assert kind == "paper"
    checkpoint = random_checkpoint("paper", 0)
    audio = load_audio_encoder(checkpoint.description.audio_encoder).module
    return [
        *path_specs(checkpoint.model),
        *encoder_specs(audio, load_face_encoder(checkpoint.description.face_encoder).module),
    ]


def spec_of(kind: str, name: str) -> GraphSpec:
    """A graph by the kind of its model and its name; the modules have seeded weights, the same in every process.

    Args:
        kind: A tiny model of six classes (``classification``), without its optional parts (``ablated``) or in the
            released layout (``released``); the light encoders, whose face network is pretrained (``pretrained``); a
            small ``wav2vec2`` with random weights; or whatever is in the ``tiny bundle`` or in the bundle of the
            ``paper`` preset.
        name: Of the graph.
    """
    return next(plan for plan in _specs(kind) if plan.name == name)


def open_graph(plan: GraphSpec, file: Path) -> Exported:
    """Open the ONNX file of a plan."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return Exported(plan, ort.InferenceSession(file, options, providers=["CPUExecutionProvider"]))

"""The PyTorch modules behind the measured bundles, with weights of `benchmarks.gpu.weights`."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import timm
import torch
from torch import Tensor, nn
from transformers import Wav2Vec2Config, Wav2Vec2Model

from benchmarks.gpu.weights import Drawn, draw
from benchmarks.library_wav2vec2 import LibraryWav2Vec2
from vavl.config import VavlConfig, WaveformNormalization, light_config, paper_config
from vavl.encoders.timm_face import EFFICIENTNET_B2, TimmFaceEncoder
from vavl.encoders.wav2vec2 import LARGE_ROBUST, Wav2Vec2Encoder
from vavl.model import Vavl
from vavl_export.export_modules import AudioVisualPath, UnimodalPath

BIAS, NORM = 0.1, 0.2  # half-widths: biases around 0, weights of norms around 1
# Deviation of each convolution's output in the face encoder, and scale of its biases. At 1, its many layers without a
# norm amplify the rounding of fp16 to a relative error of 2.5e-2, more than `contact.LIMITS` allows.
CALM = 0.25
# A rehearsal's: the same kinds of layers, small.
TINY_SOUND = LARGE_ROBUST | {
    "hidden_size": 64,
    "num_attention_heads": 2,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "conv_dim": (32,) * 7,
    "num_conv_pos_embedding_groups": 4,
}
# Model, wav2vec2, network of timm. A model with discriminants or dynamics is no larger and has other layers.
TINY_TOKENS = 600  # of a window; the tables of positions are the larger part of the model
PRESETS: dict[str, tuple[Callable[..., VavlConfig], dict[str, Any], str]] = {
    "paper": (paper_config, LARGE_ROBUST, EFFICIENTNET_B2),
    "tiny": (partial(light_config, max_tokens=TINY_TOKENS), TINY_SOUND, "test_efficientnet"),
}


@dataclass(frozen=True)
class Networks:
    """The networks of a bundle.

    Attributes:
        library: wav2vec2 as ``transformers`` runs it; it shares its layers with ``audio``.
        audio: The same, as it is exported.
        face: The face encoder.
        model: The three paths.
    """

    library: Wav2Vec2Model
    audio: Wav2Vec2Encoder
    face: TimmFaceEncoder
    model: Vavl

    def parts(self) -> dict[str, nn.Module]:
        """What has parameters, by the prefix of their names."""
        return {"audio": self.audio, "face": self.face, "model": self.model}

    def graphs(self) -> dict[str, nn.Module]:
        """The modules that a person would write down first, by graph."""
        return {
            "audio_encoder": LibraryWav2Vec2(self.library),
            "face_encoder": self.face,
            "audio": UnimodalPath(self.model, "audio"),
            "visual": UnimodalPath(self.model, "visual"),
            "audio_visual": AudioVisualPath(self.model),
        }


def build_networks(preset: str) -> Networks:
    """Build the networks of a preset; their weights are still to be set with `fill`."""
    configure, sound, face_network = PRESETS[preset]
    library = Wav2Vec2Model(Wav2Vec2Config(**sound)).eval()
    audio = Wav2Vec2Encoder(library, WaveformNormalization(), sound["num_hidden_layers"]).eval()
    network = timm.create_model(face_network, num_classes=0)
    face = TimmFaceEncoder(network, network.pretrained_cfg["mean"], network.pretrained_cfg["std"], face_network).eval()
    return Networks(library, audio, face, Vavl(configure(audio_dim=audio.dim, visual_dim=face.dim)).eval())


def _named(networks: Networks) -> Iterator[tuple[str, nn.Module, Tensor]]:
    """Every parameter: its name, the module that owns it, and its values."""
    for prefix, part in networks.parts().items():
        for name, module in part.named_modules(prefix=prefix):
            yield from ((f"{name}.{own}", module, value) for own, value in module.named_parameters(recurse=False))


def plan_weights(networks: Networks) -> dict[str, Drawn]:
    """Decide how each parameter is drawn: weights by their fan-in, biases and weights of norms random, too.

    BatchNorm gets mean 0, variance 1 (with its epsilon) and weight 1, so that folding it into a convolution changes no
    bit of the convolution's weights. `calibrate` scales the layers that have no norm behind them.
    """
    return {name: Drawn(tuple(value.shape), *_range(name, module, value)) for name, module, value in _named(networks)}


def _range(name: str, module: nn.Module, value: Tensor) -> tuple[float, float]:
    if isinstance(module, nn.modules.batchnorm._BatchNorm) and name.endswith("weight"):
        return 1.0, 0.0
    if isinstance(module, nn.LayerNorm | nn.GroupNorm) and name.endswith("weight"):
        return 1.0, NORM
    if value.ndim < 2 or name.endswith("bias"):
        return 0.0, BIAS * (CALM if name.startswith("face.") else 1.0)
    return 0.0, math.sqrt(3 / value[0].numel())  # variance 1 / fan-in


def fill(networks: Networks, planned: dict[str, Drawn]) -> None:
    """Set all weights.

    Args:
        networks: Changed in place.
        planned: How each parameter is drawn.

    Raises:
        ValueError: Names or shapes are not those of these networks.
    """
    found = {name: value for name, _, value in _named(networks)}
    shapes = {name: tuple(value.shape) for name, value in found.items()}
    if shapes != {name: drawn.shape for name, drawn in planned.items()}:
        differing = sorted(shapes.items() ^ {name: drawn.shape for name, drawn in planned.items()}.items())
        raise ValueError(f"recipe and networks differ in {differing[:4]}; pack again with this version of the code")
    with torch.no_grad():
        for name, value in found.items():
            value.copy_(torch.from_numpy(draw(name, planned[name])))
        for part in networks.parts().values():
            for module in part.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.running_mean.zero_()
                    module.running_var.fill_(1 - module.eps)


def calibrate(networks: Networks, planned: dict[str, Drawn], faces: Tensor) -> dict[str, Drawn]:
    """Scale the convolutions of the face encoder so that each gives values around `CALM`, which fp16 holds.

    With BatchNorm set to do nothing, signals would fade from layer to layer until only biases reach the output.

    Args:
        networks: Filled; scaled in place.
        planned: How their parameters are drawn.
        faces: Crops to look at.

    Returns:
        The plan with the scales, which are powers of two.
    """
    scaled = dict(planned)

    def scale(name: str, module: nn.Module, output: Tensor) -> Tensor:
        factor = 2.0 ** -round(math.log2(max(float(output.std()) / CALM, 1e-6)))
        scaled[name] = planned[name]._replace(spread=planned[name].spread * factor)
        module.weight.mul_(factor)
        return output * factor

    handles = [
        module.register_forward_hook(lambda module, _, output, name=f"{name}.weight": scale(name, module, output))
        for name, module in networks.face.named_modules(prefix="face")
        if isinstance(module, nn.Conv2d)
    ]
    with torch.no_grad():
        networks.face(faces)
    for handle in handles:
        handle.remove()
    return scaled

"""wav2vec2 (layer-norm variant), built from the modules of ``transformers`` with our own masks.

The library's attention masks export to NonZero and ScatterND, which TensorRT cannot build; here the lengths become an
additive bias. Outputs equal ``Wav2Vec2Model(...).last_hidden_state`` on the valid tokens.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from vavl.config import WaveformNormalization
from vavl.encoders.base import AudioEncoder
from vavl.errors import ConfigError
from vavl.model.masking import attention_bias, length_mask

LARGE_ROBUST_LAYERS = 12  # VAVL keeps 12 of the 24 transformer layers (D11)

# The public configuration of facebook/wav2vec2-large-robust, where it differs from the library's defaults.
LARGE_ROBUST: dict[str, Any] = {
    "hidden_size": 1024,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
    "num_hidden_layers": LARGE_ROBUST_LAYERS,
    "feat_extract_norm": "layer",
    "do_stable_layer_norm": True,
    "conv_bias": True,
}

# The settings of a library configuration that define the network; they are stored in an encoder folder.
ARCHITECTURE = (
    "hidden_size",
    "num_attention_heads",
    "intermediate_size",
    "feat_extract_norm",
    "do_stable_layer_norm",
    "conv_bias",
    "conv_dim",
    "conv_kernel",
    "conv_stride",
    "num_conv_pos_embeddings",
    "num_conv_pos_embedding_groups",
    "hidden_act",
    "feat_extract_activation",
    "layer_norm_eps",
)


class WaveformNormalizer(nn.Module):
    """Normalises a waveform over its valid samples; see `WaveformNormalization`."""

    def __init__(self, normalization: WaveformNormalization) -> None:
        super().__init__()
        self.kind = normalization.kind
        self.mean = normalization.mean
        self.std = normalization.std

    def forward(self, waveform: Tensor, mask: Tensor) -> Tensor:
        """Normalise (B, S) under a sample mask (B, S); padding comes out as zero."""
        if self.kind == "utterance":
            count = mask.sum(dim=1, keepdim=True)
            centred = waveform - (waveform * mask).sum(dim=1, keepdim=True) / count
            variance = (centred.square() * mask).sum(dim=1, keepdim=True) / count
            waveform = centred * torch.rsqrt(variance + 1e-7)  # 1e-7 as in the library's feature extractor
        elif self.kind == "global":
            waveform = (waveform - self.mean) / self.std
        return waveform * mask


class Wav2Vec2Encoder(AudioEncoder):
    """A ``transformers`` wav2vec2 network as an `AudioEncoder`.

    Args:
        network: A ``Wav2Vec2Model`` with ``do_stable_layer_norm`` and layer-norm convolutions.
        normalization: How the waveform is normalised inside the graph.
        layers: Number of transformer layers to keep, from the bottom.

    Raises:
        ConfigError: The network normalises over time (group norm), so padding would change its output.
    """

    frozen = ("convolutions.",)  # the feature encoder, as in §4.2

    def __init__(self, network: Any, normalization: WaveformNormalization, layers: int = LARGE_ROBUST_LAYERS) -> None:
        super().__init__()
        config = network.config
        if config.feat_extract_norm != "layer" or not config.do_stable_layer_norm:
            raise ConfigError(
                f"wav2vec2: got feat_extract_norm={config.feat_extract_norm!r}, do_stable_layer_norm="
                f"{config.do_stable_layer_norm}, expected 'layer' and True; group norm looks at padding, "
                "use a 'large-robust' or 'large-lv60' family checkpoint"
            )
        self.settings: dict[str, Any] = {key: getattr(config, key) for key in ARCHITECTURE} | {
            "num_hidden_layers": min(layers, config.num_hidden_layers)
        }
        self.dim = config.hidden_size
        self.heads = config.num_attention_heads
        self.kernels = tuple(config.conv_kernel)
        self.strides = tuple(config.conv_stride)
        self.minimum_samples = self._receptive_field()
        self.normalizer = WaveformNormalizer(normalization)
        self.convolutions = network.feature_extractor.conv_layers
        self.projection_norm = network.feature_projection.layer_norm
        self.projection = network.feature_projection.projection
        self.position = network.encoder.pos_conv_embed
        if parametrize.is_parametrized(self.position.conv, "weight"):
            # Weight norm would stay in the graph as ReduceL2/Mul/Div; removing it is bit-identical.
            parametrize.remove_parametrizations(self.position.conv, "weight")
        self.layers = nn.ModuleList(network.encoder.layers[:layers])
        self.norm = network.encoder.layer_norm

    def _receptive_field(self) -> int:
        field = 1
        for kernel, stride in zip(reversed(self.kernels), reversed(self.strides), strict=True):
            field = (field - 1) * stride + kernel
        return field

    def output_lengths(self, samples: Tensor) -> Tensor:
        """Number of tokens for a number of samples."""
        # One division for all convolutions: rounding down after each gives the same, in seven times the operators.
        return torch.div(samples - self.minimum_samples, math.prod(self.strides), rounding_mode="floor") + 1

    def forward(self, waveform: Tensor, samples: Tensor) -> tuple[Tensor, Tensor]:
        """Encode; see `AudioEncoder.forward`."""
        x = self.normalizer(waveform, length_mask(samples, waveform.shape[1]))[:, None]  # (B, 1, S)
        for convolution in self.convolutions:
            x = convolution(x)  # (B, 512, ...)
        lengths = self.output_lengths(samples)
        mask = length_mask(lengths, x.shape[2])
        x = self.projection(self.projection_norm(x.transpose(1, 2))) * mask[:, :, None]  # (B, T, D)
        x = x + self.position(x)
        bias = attention_bias(mask)
        for layer in self.layers:
            x = x + self._attend(layer.attention, layer.layer_norm(x), bias)
            x = x + layer.feed_forward(layer.final_layer_norm(x))
        return self.norm(x), lengths

    def _attend(self, attention: Any, x: Tensor, bias: Tensor) -> Tensor:
        def split(y: Tensor) -> Tensor:
            return y.reshape(y.shape[0], y.shape[1], self.heads, -1).transpose(1, 2)  # (B, H, T, D/H)

        query = split(attention.q_proj(x) * (self.dim // self.heads) ** -0.5)
        weights = torch.softmax(query @ split(attention.k_proj(x)).transpose(2, 3) + bias, dim=-1)
        mixed = weights @ split(attention.v_proj(x))
        return attention.out_proj(mixed.transpose(1, 2).flatten(2))

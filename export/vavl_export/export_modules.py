"""The PyTorch modules that are exported, with inputs and outputs as the bundle documents them."""

import copy

import torch
from torch import Tensor, nn

from vavl.encoders.base import AudioEncoder
from vavl.model import Modality, Vavl
from vavl.model.conformer import ConvolutionModule


class UnimodalPath(nn.Module):
    """Maps features of one modality to prediction and embedding.

    Args:
        model: The model; the graph leaves out the other branch.
        modality: The branch to export.
    """

    def __init__(self, model: Vavl, modality: Modality) -> None:
        super().__init__()
        self.model = model
        self.modality = modality

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Map features (B, T, F) and lengths (B,) to prediction (B, C) and embedding (B, D)."""
        output = self.model.unimodal(self.modality, features, lengths)
        return self.model.presentation(output.logits), output.embedding


class AudioVisualPath(nn.Module):
    """Maps features of both modalities to prediction and embedding."""

    def __init__(self, model: Vavl) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, audio_features: Tensor, audio_lengths: Tensor, visual_features: Tensor, visual_lengths: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Map both feature sequences to prediction (B, C) and embedding (B, head_hidden[0])."""
        audio = self.model.unimodal("audio", audio_features, audio_lengths)
        visual = self.model.unimodal("visual", visual_features, visual_lengths)
        logits, embedding = self.model.audio_visual(audio, visual)
        return self.model.presentation(logits), embedding


class AudioEncoderPath(nn.Module):
    """Runs an audio encoder and gives its lengths as int64."""

    def __init__(self, encoder: AudioEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, waveform: Tensor, samples: Tensor) -> tuple[Tensor, Tensor]:
        """Map waveform (B, S) and samples (B,) to features (B, T, F) and lengths (B,)."""
        features, lengths = self.encoder(waveform, samples)
        return features, lengths.to(torch.int64)


class _FoldedConvolution(nn.Module):
    """A convolution module with its BatchNorm folded into the depthwise convolution."""

    def __init__(self, module: ConvolutionModule) -> None:
        super().__init__()
        norm = module.batch_norm
        scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
        self.norm, self.expand, self.project = module.norm, module.expand, module.project
        self.activation = module.activation
        self.depthwise = copy.deepcopy(module.depthwise)
        self.depthwise.weight = nn.Parameter(module.depthwise.weight * scale[:, None, None])
        self.depthwise.bias = nn.Parameter(norm.bias - norm.running_mean * scale)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        x = nn.functional.glu(self.expand(self.norm(x)), dim=-1) * mask[:, :, None]
        x = self.depthwise(x.transpose(1, 2)).transpose(1, 2)
        return self.project(self.activation(x))


def prepare_for_export(model: Vavl) -> Vavl:
    """Copy a model with BatchNorm folded and the training-only heads removed; predictions stay the same.

    Args:
        model: Any model; it is not changed.

    Returns:
        The copy, in evaluation mode.
    """
    copied: Vavl = copy.deepcopy(model).eval()
    with torch.no_grad():
        copied.audio.reconstruction = copied.visual.reconstruction = None
        for module in list(copied.modules()):
            convolution = getattr(module, "convolution", None)
            if isinstance(convolution, ConvolutionModule):
                module.convolution = _FoldedConvolution(convolution)
    copied.eval().requires_grad_(False)
    return copied

"""A straight re-computation of the released code's arithmetic.

Plain functions in float64, written from the description of the released code and not from ``vavl.model``. They take
any batch, so they also show what the project refuses to run: clips that mix (D1).
Legend: B clips, T frames, F features, D width, H heads, L length of the axis the conformer works along.
"""

import math

import torch
from torch import Tensor

from vavl.config import VavlConfig
from vavl.model import Modality

State = dict[str, Tensor]


def linear(state: State, name: str, x: Tensor, bias: bool = True) -> Tensor:
    y = x @ state[f"{name}.weight"].T
    return y + state[f"{name}.bias"] if bias else y


def layer_norm(state: State, name: str, x: Tensor) -> Tensor:
    centred = x - x.mean(dim=-1, keepdim=True)
    variance = (centred**2).mean(dim=-1, keepdim=True)
    return centred / torch.sqrt(variance + 1e-5) * state[f"{name}.weight"] + state[f"{name}.bias"]


def batch_norm(state: State, name: str, x: Tensor) -> Tensor:
    """BatchNorm with its stored statistics, channels last."""
    standard = (x - state[f"{name}.running_mean"]) / torch.sqrt(state[f"{name}.running_var"] + 1e-5)
    return standard * state[f"{name}.weight"] + state[f"{name}.bias"]


def swish(x: Tensor) -> Tensor:
    return x / (1 + torch.exp(-x))


def relu(x: Tensor) -> Tensor:
    return torch.where(x > 0, x, torch.zeros_like(x))


def softmax(x: Tensor) -> Tensor:
    exponentials = torch.exp(x - x.max(dim=-1, keepdim=True).values)
    return exponentials / exponentials.sum(dim=-1, keepdim=True)


def absolute_positions(length: int, width: int) -> Tensor:
    """Sinusoids of the rows 0 … L-1, sine in even and cosine in odd columns, shape (L, D) (D7)."""
    table = torch.zeros(length, width, dtype=torch.float64)
    for row in range(length):
        for pair in range(width // 2):
            angle = row / 10000 ** (2 * pair / width)
            table[row, 2 * pair] = math.sin(angle)
            table[row, 2 * pair + 1] = math.cos(angle)
    return table


def shift(scores: Tensor) -> Tensor:
    """Transformer-XL shift of (N, L, L): a zero column to the left, read as (L + 1, L), first row dropped (D7)."""
    count, length, _ = scores.shape
    padded = torch.cat([torch.zeros(count, length, 1, dtype=scores.dtype), scores], dim=2)
    return padded.reshape(count, length + 1, length)[:, 1:]


def self_attention(state: State, name: str, x: Tensor) -> Tensor:
    """Attend along the middle axis of (N, L, D), all L x L scores at once, scaled by 1/sqrt(D) (D6)."""
    _, length, width = x.shape
    query = linear(state, f"{name}.query", x)
    key = linear(state, f"{name}.key", x)
    value = linear(state, f"{name}.value", x)
    position = linear(state, f"{name}.position", absolute_positions(length, width), bias=False)
    heads = state[f"{name}.content_bias"].shape[0]
    size = width // heads
    mixed = []
    for head in range(heads):
        part = slice(head * size, (head + 1) * size)
        content_query = query[:, :, part] + state[f"{name}.content_bias"][head]
        position_query = query[:, :, part] + state[f"{name}.position_bias"][head]
        content_scores = content_query @ key[:, :, part].transpose(1, 2)  # (N, L, L)
        position_scores = shift(position_query @ position[:, part].T)  # (N, L, L)
        attention = softmax((content_scores + position_scores) / math.sqrt(width))
        mixed.append(attention @ value[:, :, part])
    return linear(state, f"{name}.output", torch.cat(mixed, dim=2))


def depthwise_convolution(weight: Tensor, x: Tensor) -> Tensor:
    """Depthwise convolution without bias along the middle axis of (N, L, D), zeros outside; weight (D, 1, K)."""
    length, taps = x.shape[1], weight.shape[2]
    y = torch.zeros_like(x)
    for target in range(length):
        for tap in range(taps):
            source = target + tap - taps // 2
            if 0 <= source < length:
                y[:, target] += weight[:, 0, tap] * x[:, source]
    return y


def feed_forward(state: State, name: str, x: Tensor) -> Tensor:
    x = layer_norm(state, f"{name}.0", x)
    return linear(state, f"{name}.4", swish(linear(state, f"{name}.1", x)))


def convolution_module(state: State, name: str, x: Tensor) -> Tensor:
    width = x.shape[2]
    x = linear(state, f"{name}.expand", layer_norm(state, f"{name}.norm", x))
    x = x[:, :, :width] / (1 + torch.exp(-x[:, :, width:]))  # GLU
    x = depthwise_convolution(state[f"{name}.depthwise.weight"], x)
    return linear(state, f"{name}.project", swish(batch_norm(state, f"{name}.batch_norm", x)))


def conformer(state: State, name: str, layers: int, x: Tensor) -> Tensor:
    """A stack of conformer blocks along the middle axis of (N, L, D)."""
    for layer in range(layers):
        block = f"{name}.blocks.{layer}"
        x = x + 0.5 * feed_forward(state, f"{block}.feed_forward_in", x)
        x = x + self_attention(state, f"{block}.attention", layer_norm(state, f"{block}.attention_norm", x))
        x = x + convolution_module(state, f"{block}.convolution", x)
        x = x + 0.5 * feed_forward(state, f"{block}.feed_forward_out", x)
        x = layer_norm(state, f"{block}.norm", x)
    return x


def head_first(state: State, name: str, x: Tensor) -> Tensor:
    return relu(linear(state, f"{name}.first.0", x))


def head_rest(state: State, name: str, x: Tensor) -> Tensor:
    """The second hidden layer and the output, nothing between them (D8)."""
    return linear(state, f"{name}.rest.2", linear(state, f"{name}.rest.1", x))


def reference_unimodal(state: State, config: VavlConfig, modality: Modality, features: Tensor) -> dict[str, Tensor]:
    """One modality's path over features (B, T, F); attention and convolution run over B, as released (D1)."""
    layers = config.audio_layers if modality == "audio" else config.visual_layers
    normalized = (features - state[f"{modality}.normalizer.mean"]) / (state[f"{modality}.normalizer.std"] + 1e-6)
    projected = normalized @ state[f"{modality}.projection.weight"][:, :, 0].T  # kernel 1, no bias (D5)
    x = projected.permute(1, 0, 2)  # (T, B, 50), handed to a batch-first conformer: N is T and L is B
    x = conformer(state, f"{modality}.encoder", layers, linear(state, f"{modality}.input", x))
    shared = conformer(state, "shared.encoder", config.shared_layers, linear(state, "shared.input", x))
    encoded = layer_norm(state, "shared.norm", shared + x).permute(1, 0, 2)  # (B, T, D) (D9)
    embedding = encoded.mean(dim=1)  # over all T, padding included (D4)
    return {
        "logits": head_rest(state, f"{modality}.head", head_first(state, f"{modality}.head", embedding)),
        "embedding": embedding,
        "reconstruction": head_rest(
            state, f"{modality}.reconstruction", head_first(state, f"{modality}.reconstruction", embedding)
        ),
        "target": normalized.mean(dim=1),
    }


def reference_audio_visual(state: State, audio: Tensor, visual: Tensor) -> dict[str, Tensor]:
    """Fuse two embeddings (B, D), audio first."""
    hidden = head_first(state, "audio_visual_head", torch.cat([audio, visual], dim=1))
    return {"logits": head_rest(state, "audio_visual_head", hidden), "embedding": hidden}


def reference_presentation(config: VavlConfig, logits: Tensor) -> Tensor:
    """Probabilities, or scores on the 1 … 5 scale with flipped attributes turned back (D3, D19)."""
    if config.task == "classification":
        return softmax(logits)
    columns = [
        5 - 4 * logits[:, index] if label in config.flipped else 1 + 4 * logits[:, index]
        for index, label in enumerate(config.labels)
    ]
    return torch.stack(columns, dim=1)


def reference_all(state: State, config: VavlConfig, audio: Tensor, visual: Tensor) -> dict[str, Tensor]:
    """Every output of the three paths, as ``path.output``."""
    by_path = {
        "audio": reference_unimodal(state, config, "audio", audio),
        "visual": reference_unimodal(state, config, "visual", visual),
    }
    by_path["audio_visual"] = reference_audio_visual(
        state, by_path["audio"]["embedding"], by_path["visual"]["embedding"]
    )
    for outputs in by_path.values():
        outputs["presentation"] = reference_presentation(config, outputs["logits"])
    return {f"{path}.{name}": value for path, outputs in by_path.items() for name, value in outputs.items()}

"""A straight re-computation of AuxFormer and MulT for one clip, from the description of their codes.

It shares the weights with the module under test and nothing else: attention is PyTorch's, positions come from their
formula, and a clip is alone, so that there is no padding to mask.
Legend: T tokens, T_q and T_k those of query and key, d width, C classes or attributes.
"""

import math

import torch
from torch import Tensor, nn

from vavl.systems import AuxFormer, Baseline, MulT
from vavl.systems.crossmodal import CrossModalEncoder, Layer


def positions(length: int, width: int) -> Tensor:
    """Sines, then cosines, of the positions 1 … T; (T, d)."""
    half = width // 2
    angles = [[row * math.exp(-k * math.log(10000) / (half - 1)) for k in range(half)] for row in range(1, length + 1)]
    return torch.tensor([[*map(math.sin, row), *map(math.cos, row)] for row in angles])


def layer(of: Layer, x: Tensor, source: Tensor | None, scalar: bool) -> Tensor:
    """One layer over x (T_q, d) and its source (T_k, d)."""
    attention = nn.MultiheadAttention(x.shape[1], of.attention.heads)
    parts = (of.attention.query, of.attention.key, of.attention.value)
    attention.in_proj_weight.data = torch.cat([part.weight for part in parts])
    attention.in_proj_bias.data = torch.cat([part.bias for part in parts])
    attention.out_proj.load_state_dict(of.attention.output.state_dict())
    normed = of.attention_norm(x)
    keys = normed if source is None else of.attention_norm(source)
    future = torch.triu(torch.ones(len(normed), len(keys), dtype=torch.bool), 1 + abs(len(normed) - len(keys)))
    own, change = (of.alpha, 1 - of.alpha) if scalar else (1.0, 1.0)
    x = own * x + change * attention(normed, keys, keys, attn_mask=future, need_weights=False)[0]
    norm, widen, _, _, narrow, _ = of.feed_forward
    return own * x + change * narrow(torch.relu(widen(norm(x))))


def encode(
    of: CrossModalEncoder, query: Tensor, source: Tensor | None = None, *, placed: bool, scalar: bool = False
) -> Tensor:
    """An encoder over a query (T_q, d) and its source (T_k, d), with positions if ``placed``."""

    def embed(x: Tensor) -> Tensor:
        given = positions(*x.shape) * (x[:, :1] != 0) if placed else 0.0
        return math.sqrt(x.shape[1]) * x + given

    x, embedded = embed(query), None if source is None else embed(source)
    for each in of.layers:
        x = layer(each, x, embedded, scalar)
    return of.norm(x)


def project(system: AuxFormer | MulT, audio: Tensor, visual: Tensor) -> tuple[Tensor, Tensor]:
    """Normalised features (T, F) of both modalities, projected to (T, d)."""
    heard = (audio - system.audio_normalizer.mean) / (system.audio_normalizer.std + 1e-6)
    seen = (visual - system.visual_normalizer.mean) / (system.visual_normalizer.std + 1e-6)
    return heard @ system.audio_projection.weight.T, seen @ system.visual_projection.weight.T


def present(system: Baseline, logits: Tensor) -> Tensor:
    return logits.softmax(dim=-1) if system.shape.task == "classification" else logits


def joined(of: nn.Module, z: Tensor) -> Tensor:
    """z + lin(relu(lin z)), and a linear output."""
    first, _, _, second = of.residual
    return of.output(z + second(torch.relu(first(z))))


def mult(system: MulT, audio: Tensor, visual: Tensor) -> Tensor:
    """The prediction (C,) of MulT for features (T_a, F_a) and (T_v, F_v)."""
    heard, seen = project(system, audio, visual)
    crossed_audio = encode(system.fusion.audio_on_visual, heard, seen, placed=True)
    crossed_visual = encode(system.fusion.visual_on_audio, seen, heard, placed=True)
    last_audio = encode(system.fusion.audio_memory, crossed_audio, placed=True)[-1]
    last_visual = encode(system.fusion.visual_memory, crossed_visual, placed=True)[-1]
    return present(system, joined(system.fusion.head, torch.cat([last_audio, last_visual])))


def auxformer(system: AuxFormer, audio: Tensor | None, visual: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Logits (C,) of the main, the audio and the visual network; a missing modality is zeros after projection."""
    given_audio = torch.zeros(1, system.shape.audio_dim) if audio is None else audio
    given_visual = torch.zeros(1, system.shape.visual_dim) if visual is None else visual
    heard, seen = project(system, given_audio, given_visual)
    heard = torch.zeros_like(seen) if audio is None else heard
    seen = torch.zeros_like(heard) if visual is None else seen

    crossed_audio = encode(system.main.audio_on_visual, heard, seen, placed=True)
    crossed_visual = encode(system.main.visual_on_audio, seen, heard, placed=True)
    last_audio = encode(system.main.audio_memory, crossed_audio, placed=False, scalar=True)[-1]
    last_visual = encode(system.main.visual_memory, crossed_visual, placed=False, scalar=True)[-1]
    main = joined(system.main.head, torch.cat([last_audio, last_visual]))

    first, _, _, second, _, _, third = system.auxiliary_residual
    auxiliary = []
    for encoder, tokens in ((system.audio_auxiliary, heard), (system.visual_auxiliary, seen)):
        for _ in range(3):
            tokens = encode(encoder, tokens, placed=False)
        last = tokens[-1]
        auxiliary.append(system.auxiliary_output(last + third(torch.relu(second(torch.relu(first(last)))))))
    return main, auxiliary[0], auxiliary[1]

"""Writes folders as the released training does, from tensors under this project's names.

The nesting below is written down from the modules that the released code builds, and not from the key table.
"""

import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tests.vavl.released_reference import State
from tests.vavl.tiny_released import random_state
from vavl.checkpoint import Checkpoint
from vavl.config import VavlConfig
from vavl.model import Vavl
from vavl.released import import_released

FILES = (
    "final_acoustic_head.pt",
    "final_visual_head.pt",
    "final_shared_head.pt",
    "final_weights_head.pt",
    "MLP_a_head.pt",
    "MLP_v_head.pt",
    "MLP_av_head.pt",
    "MLP_rec_a_head.pt",
    "MLP_rec_v_head.pt",
)
STATISTICS = "train_norm_stat.pkl"
WAVEFORM = (0.0125, 0.0625)  # mean and deviation, exact in float32
Nest = Mapping[str, Any]


def flatten(nest: Nest, prefix: str = "") -> State:
    """Join the names of nested modules with dots, as ``state_dict`` does."""
    flat: State = {}
    for name, value in nest.items():
        if isinstance(value, Mapping):
            flat.update(flatten(value, f"{prefix}{name}."))
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def nest_released(state: State, positions: int) -> dict[str, State]:
    """The nine state dicts.

    Args:
        state: Tensors under this project's names.
        positions: Rows of the stored sinusoids; the released code stores 10000.
    """

    def own(name: str) -> State:
        return {key.removeprefix(f"{name}."): value for key, value in state.items() if key.startswith(f"{name}.")}

    def linear(name: str) -> Nest:
        return {"linear": own(name)}

    def pointwise(name: str) -> Nest:
        return {"conv": {"weight": state[f"{name}.weight"][:, :, None], "bias": state[f"{name}.bias"]}}

    def residual(**module: Any) -> Nest:
        return {"module": module}

    def feed_forward(name: str) -> Nest:
        return {0: own(f"{name}.0"), 1: linear(f"{name}.1"), 4: linear(f"{name}.4")}

    def attention(name: str) -> Nest:
        return {
            "u_bias": state[f"{name}.content_bias"],
            "v_bias": state[f"{name}.position_bias"],
            "query_proj": linear(f"{name}.query"),
            "key_proj": linear(f"{name}.key"),
            "value_proj": linear(f"{name}.value"),
            "pos_proj": linear(f"{name}.position"),
            "out_proj": linear(f"{name}.output"),
        }

    def convolution(name: str) -> Nest:
        return {
            0: own(f"{name}.norm"),
            2: pointwise(f"{name}.expand"),
            4: {"conv": own(f"{name}.depthwise")},
            5: own(f"{name}.batch_norm"),
            7: pointwise(f"{name}.project"),
        }

    def block(name: str) -> Nest:
        width = len(state[f"{name}.norm.weight"])
        return {
            "sequential": {
                0: residual(sequential=feed_forward(f"{name}.feed_forward_in")),
                1: residual(
                    positional_encoding={"pe": torch.zeros(1, positions, width)},
                    layer_norm=own(f"{name}.attention_norm"),
                    attention=attention(f"{name}.attention"),
                ),
                2: residual(sequential=convolution(f"{name}.convolution")),
                3: residual(sequential=feed_forward(f"{name}.feed_forward_out")),
                4: own(f"{name}.norm"),
            }
        }

    def encoder(branch: str) -> Nest:
        width = len(state[f"{branch}.input.bias"])
        layers = {int(name.split(".")[3]) for name in state if name.startswith(f"{branch}.encoder.blocks.")}
        return {
            "encoder": {
                "conv_subsample": {
                    "sequential": {
                        0: {"weight": torch.zeros(width, 1, 3, 3), "bias": torch.zeros(width)},
                        2: {"weight": torch.zeros(width, width, 3, 3), "bias": torch.zeros(width)},
                    }
                },
                "input_projection": {0: linear(f"{branch}.input")},
                "layers": {layer: block(f"{branch}.encoder.blocks.{layer}") for layer in sorted(layers)},
            }
        }

    def head(name: str) -> Nest:
        return {"projav1": own(f"{name}.first.0"), "projav2": own(f"{name}.rest.1"), "out_layer": own(f"{name}.rest.2")}

    files = {
        "final_acoustic_head.pt": {"conv_1d_a": own("audio.projection"), "x_acoustic": encoder("audio")},
        "final_visual_head.pt": {"conv_1d_v": own("visual.projection"), "x_visual": encoder("visual")},
        "final_shared_head.pt": {"x_shared": encoder("shared"), "layer_norm": own("shared.norm")},
        "final_weights_head.pt": head("audio_visual_head"),
        "MLP_a_head.pt": head("audio.head"),
        "MLP_v_head.pt": head("visual.head"),
        "MLP_av_head.pt": head("audio.head"),  # never trained: any values
        "MLP_rec_a_head.pt": head("audio.reconstruction"),
        "MLP_rec_v_head.pt": head("visual.reconstruction"),
    }
    return {file: flatten(nest) for file, nest in files.items()}


def released_values(config: VavlConfig, seed: int = 0) -> State:
    """Random tensors under this project's names; audio features are not normalised by the released code."""
    with torch.device("meta"):
        model = Vavl(config)
    state = random_state(model, seed)
    state["audio.normalizer.mean"].zero_()
    state["audio.normalizer.std"].fill_(1.0)
    return state


def write_folder(folder: Path, state: State, positions: int = 7) -> Path:
    """Write a complete released folder."""
    folder.mkdir(exist_ok=True)
    for file, tensors in nest_released(state, positions).items():
        torch.save(tensors, folder / file)
    statistics = (
        *map(np.float32, WAVEFORM),
        state["visual.normalizer.mean"].numpy(),
        state["visual.normalizer.std"].numpy(),
    )
    (folder / STATISTICS).write_bytes(pickle.dumps(statistics))
    return folder


def change_file(folder: Path, file: str, change: Callable[[dict[str, Tensor]], object]) -> None:
    """Rewrite one state dict after a change in place."""
    tensors = torch.load(folder / file, weights_only=True)
    change(tensors)
    torch.save(tensors, folder / file)


def import_folder(folder: Path, task: str, **changes: Any) -> Checkpoint:
    """Import with whatever the test does not care about filled in."""
    polarity = {"regression": True, "classification": None}[task]
    options = {"flipped": polarity, "audio_encoder": "final_wav2vec.pt", "face_encoder": "enet_b2_8.pt", **changes}
    return import_released(folder, task=task, **options)  # type: ignore[arg-type]

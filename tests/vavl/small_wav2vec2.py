"""A wav2vec2 small enough to be made for a test, saved as the hub would have it."""

from pathlib import Path

import torch
from transformers import Wav2Vec2Config, Wav2Vec2Model

SMALL = {
    "hidden_size": 32,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "conv_dim": (16,) * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
    "feat_extract_norm": "layer",
    "do_stable_layer_norm": True,
    "conv_bias": True,
}


def save_small_wav2vec2(folder: Path) -> Path:
    """Save a small network with random weights, seed 0."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        Wav2Vec2Model(Wav2Vec2Config(**SMALL)).eval().save_pretrained(folder)
    return folder
